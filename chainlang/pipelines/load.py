"""Files of steps with the files that they name: `.chain` files with ops, and further steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import define, field

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span
from chainlang.errors import ChainlangError, error_of
from chainlang.ir.declarations import Item
from chainlang.limits import current
from chainlang.notation.files import inside_folder, read_chain_file, read_source
from chainlang.notation.parse import source
from chainlang.pipelines.actions import Actions
from chainlang.pipelines.compile import Compiled, compiled
from chainlang.pipelines.document import Pipeline, Word
from chainlang.pipelines.read_document import read_document
from chainlang.pipelines.read_yaml import read_yaml

SUFFIXES = (".yaml", ".yml")
"""Suffixes of files of steps."""


def is_steps(path: Path) -> bool:
    """Return whether a path is that of a file of steps, by its suffix."""
    return path.suffix.lower() in SUFFIXES


def load_steps(
    file: Path | Source,
    functions: Mapping[str, Callable[..., Any]],
    *,
    by_model: bool = False,
    texts: Mapping[Path, str] | None = None,
) -> Compiled:
    """Return the declarations of a file of steps, with all diagnostics.

    `functions`: those that the loader binds, by name. `by_model`: whether the model does each
    action that nothing else does. `texts`: of files that are open in an editor, in place of those
    on disk. Raises `SourceError` for a file that can't be read, and
    `NotationError` for one that is no YAML.
    """
    path = file if isinstance(file, Path) else None
    loader = _Loader(None if path is None else path.parent, texts or {})
    text = loader.source(file) if isinstance(file, Path) else file
    whole = loader.read(text)
    used = [item for word in whole.use for item in loader.items(word)]
    actions = Actions(functions, by_model=by_model)
    users = () if path is None else (path.resolve(),)
    loader.users = users
    return compiled(whole, used, actions, loader.pipeline, loader.found)


@define
class _Loader:
    folder: Path | None
    """Folder of the files; None for a text, which can't name files."""
    texts: Mapping[Path, str] = field(factory=dict)
    found: list[Diagnostic] = field(factory=list)
    users: tuple[Path, ...] = ()
    """The files around the one that is read."""
    count: int = 0

    def read(self, text: Source) -> Pipeline:
        """Return the pipeline of a text."""
        whole, found = read_document(read_yaml(text), text)
        self.found += found
        return whole

    def source(self, path: Path, span: Span | None = None) -> Source:
        """Return the text of a file."""
        given = self.texts.get(path)
        return read_source(path, span) if given is None else source(given, str(path))

    def target(self, word: Word) -> Path:
        """Return the path of a file beside this one. Raises `SourceError` for any other."""
        if self.folder is None:
            message = "a text can't name other files"
            hint = 'write the steps into a file, and load it by its path: load("x.yaml")'
            raise error_of("path", message, hint, span=word.span)
        return inside_folder(self.folder, word.text, word.span)

    def items(self, word: Word) -> tuple[Item, ...]:
        """Return the declarations of a `.chain` file."""
        try:
            target = self.target(word)
            if is_steps(target):
                hint = "steps of another file are a step: `pipeline: other.yaml`"
                raise error_of("path", "'use' names .chain files", hint, span=word.span)
            self.source(target, word.span)
            parsed = read_chain_file(target, self.texts)
        except ChainlangError as error:
            self.found += error.diagnostics
            return ()
        self.found += parsed.diagnostics
        return parsed.node.items

    def pipeline(self, word: Word) -> Pipeline | None:
        """Return the pipeline of a file inside; None for one that can't be read."""
        self.count += 1
        current().check("files", self.count, f"more than {current().files} files", word.span)
        try:
            target = self.target(word)
            whole = self.read(self.source(target, word.span))
        except ChainlangError as error:
            self.found += error.diagnostics
            return None
        return whole

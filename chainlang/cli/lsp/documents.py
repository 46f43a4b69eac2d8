"""The open documents of an editor: what each reads, what it declares, what is wrong in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import define, evolve, field, frozen

from chainlang.analysis.program import examine
from chainlang.diagnostics.diagnostic import Diagnostic, in_order
from chainlang.diagnostics.source import Span, part_span
from chainlang.editing.names import Name, declaration, occurrences
from chainlang.errors import ChainlangError
from chainlang.ir.declarations import Item, Use
from chainlang.notation.files import read_chain_file
from chainlang.notation.parse import read_items, source
from chainlang.pipelines.load import is_steps, load_steps


@frozen
class Reading:
    """A text with the files that it uses, as parsed."""

    version: int | None
    text: str
    items: tuple[Item, ...]
    files: frozenset[str]
    """Names of the files that the items come from."""


@define
class Documents:
    """The texts that are open, by path, and the last reading of each."""

    texts: dict[Path, str] = field(factory=dict)
    readings: dict[Path, Reading] = field(factory=dict)

    def reading(self, path: Path, version: int | None, text: str) -> Reading:
        """Return the reading of a text; that of the same version is kept.

        A text that can't be parsed at all keeps the items of the one before it.
        """
        before = self.readings.get(path)
        if before is not None and before.version == version and before.text == text:
            return before
        self.texts[path] = text
        try:
            items = () if is_steps(path) else read_chain_file(path, self.texts).node.items
        except ChainlangError:
            items = ()
        if not items and text.strip() and before is not None:
            items = before.items
        files = frozenset(one.span.source.name for one in items if one.span is not None)
        self.readings[path] = found = Reading(version, text, items, files)
        return found

    def close(self, path: Path) -> None:
        """Forget a document."""
        self.texts.pop(path, None)
        self.readings.pop(path, None)

    def users(self, path: Path) -> list[Path]:
        """Return the open documents that read the file of another."""
        return [
            other
            for other, one in self.readings.items()
            if other != path and str(path) in one.files
        ]


def diagnostics(path: Path, texts: Mapping[Path, str]) -> tuple[Diagnostic, ...]:
    """Return what is wrong in a document and the files that it uses."""
    try:
        return _of_steps(path, texts) if is_steps(path) else examine(path, texts=texts)[1]
    except ChainlangError as error:
        return error.diagnostics


def _of_steps(path: Path, texts: Mapping[Path, str]) -> tuple[Diagnostic, ...]:
    """Return what is wrong in a file of steps.

    An action that is not known is a warning: a function that is bound as the file is loaded may do
    it. The rest is checked as if the model did it.
    """
    unknown = [
        evolve(one, code="model-action")
        for one in load_steps(path, {}, texts=texts).file.diagnostics
        if one.kind == "action" and one.severity == "error"
    ]
    names = {one.subject for one in unknown}
    file = load_steps(path, {}, by_model=bool(unknown), texts=texts).file
    is_wrong = any(one.severity == "error" for one in file.diagnostics)
    found = file.diagnostics if is_wrong else examine(file)[1]
    others = (one for one in found if one.kind != "action" or one.subject not in names)
    return in_order([*unknown, *others])


def use_of(text: str, path: Path, other: str) -> Diagnostic | None:
    """Return a note at the `use` that leads to another file; None if this text has none."""
    if is_steps(path):
        return None
    uses = [one for one in read_items(source(text, str(path))).node.items if isinstance(one, Use)]
    named = [one for one in uses if str(path.parent / one.path) == other] or uses
    if not named:
        return None
    return Diagnostic("file", f"{other} has errors", part_span(named[0].span, "name"))


def everywhere(there: Name, files: Iterable[Path], texts: Mapping[Path, str]) -> list[Span]:
    """Return the spans of a name in those of some files that read its declaration `there`."""
    home = Path(there.span.source.name).resolve()
    spans: list[Span] = []
    for one in files:
        try:
            items = read_chain_file(one, texts).node.items
        except ChainlangError:
            continue  # where it is open, its diagnostics say so
        found = declaration(items, there)
        if found is not None and Path(found.span.source.name).resolve() == home:
            spans += [it.span for it in occurrences(items, there)]
    return spans

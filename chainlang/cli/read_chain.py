"""Reading of the chain argument of a command: notation, or the path of a file."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Collection
from pathlib import Path

from attrs import evolve

from chainlang.analysis.program import examine, main_of
from chainlang.api.chain import Chain
from chainlang.api.parse import chain
from chainlang.api.steps import read_steps
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.suggest import suggest
from chainlang.errors import ChainlangWarning, error_of, raise_errors
from chainlang.notation.parse import read_items, source
from chainlang.pipelines.load import SUFFIXES, is_steps
from chainlang.semantics.bindings import bound_by
from chainlang.semantics.functions_file import FunctionsFile, read_functions

STDIN = "<stdin>"
"""Name of stdin in messages."""
_FILE = re.compile(r"[\w~/-][\w./~-]*\.[A-Za-z]{2,6}")
_DECLARES = re.compile(
    r"^(?:(?:use|model|server|input|type|op)\b|[A-Za-z_]\w*[ \t]*=(?!=))", re.MULTILINE | re.ASCII
)


def read_chain(
    text: str, functions: Path | None = None, allow: Collection[str] = ()
) -> tuple[Chain, list[Diagnostic]]:
    """Return the chain of a text, a file or stdin (``-``), with its warnings; raise its errors.

    Its ``@names`` are bound to what the Python file `functions` has under them. `allow`: names of
    settings that may run code.
    """
    path = Path(text)
    if is_steps(path):
        return read_file_of_steps(there(path), functions, allow)
    made, warned = _read(text, allow)
    return (made if functions is None else bind_file(made, read_functions(functions))), warned


def read_file_of_steps(
    path: Path, functions: Path | None, allow: Collection[str] = ()
) -> tuple[Chain, list[Diagnostic]]:
    """Return the chain of a file of steps, with its warnings; raise its errors.

    Its actions are bound to what the Python file `functions` has under their names.
    """
    file = None if functions is None else read_functions(functions)
    found, warned = read_steps(path, {} if file is None else file.public, allow=allow)
    if file is None:
        return found, list(warned)
    made = Chain(found.body, found.items, bound=evolve(found.bound, file=file), is_checked=True)
    return made, list(warned)


def model_name(text: str) -> str:
    """Return the name of the chain of a text or a file, where it is a model or has metrics."""
    path = Path(text)
    return path.stem if path.suffix == ".chain" or is_steps(path) else "chain"


def bind_file(made: Chain, file: FunctionsFile) -> Chain:
    """Return a chain with the functions and classes of a file. Raises what is wrong with them."""
    found, missing = bound_by(made.body, made.items, file)
    raise_errors(missing)
    bound = made.bind(**found)
    return Chain(bound.body, bound.items, bound=evolve(bound.bound, file=file))


def _read(text: str, allow: Collection[str]) -> tuple[Chain, list[Diagnostic]]:
    if text == "-":
        return _read_stdin(allow)
    if text.endswith(".chain"):  # no other name: a file called `E` must not change what E means
        file, found = examine(there(Path(text)), allow)
        raise_errors(found)
        return Chain(*main_of(file), is_checked=True), list(found)
    if _FILE.fullmatch(text):
        hint = suggest(Path(text).name, _beside(Path(text)), None)
        raise error_of(
            "file", f"{text} is no .chain file", hint or "its name ends in .chain, or in .yaml"
        )
    if "/" in text and Path(text).is_dir():  # no chain has a slash outside of quotes and models
        inside = [str(Path(text) / one) for one in _beside(Path(text) / "chain")]
        hint = f"name a file: {inside[0]}" if inside else "its name ends in .chain, or in .yaml"
        raise error_of("file", f"{text}: is a folder", hint)
    return _expression(text)


def _expression(text: str) -> tuple[Chain, list[Diagnostic]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChainlangWarning)
        made = chain(text)
    return made, [
        found
        for warning in caught
        if isinstance(warning.message, ChainlangWarning)
        for found in warning.message.diagnostics
    ]


def _read_stdin(allow: Collection[str]) -> tuple[Chain, list[Diagnostic]]:
    """Return the chain of stdin: a file, if it declares something, else an expression."""
    text = stdin_text()
    if not _DECLARES.search(text):
        return _expression(text)
    file, found = examine(read_items(source(text, STDIN)), allow)
    raise_errors(found)
    return Chain(*main_of(file), is_checked=True), list(found)


def stdin_text() -> str:
    """Return the text of stdin, which is UTF-8 in any locale."""
    buffer = getattr(sys.stdin, "buffer", None)
    data: bytes = sys.stdin.read().encode() if buffer is None else buffer.read()
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"{STDIN}: byte 0x{data[error.start]:02x} is not UTF-8"
        raise error_of("file", message) from error


def there(path: Path) -> Path:
    """Return the path of a file. Raises `SourceError` with the one that may be meant, if any."""
    if not path.exists() and (hint := suggest(path.name, _beside(path), None)):
        raise error_of("file", f"{path}: no such file", hint)
    return path


def _beside(path: Path) -> list[str]:
    """Return the names of the chains in the folder of a path."""
    try:
        beside = path.parent.iterdir()
        return sorted(one.name for one in beside if one.suffix in (".chain", *SUFFIXES))
    except OSError:
        return []

"""What can go wrong, as values: diagnostics, and the exceptions that carry them.

::

    ChainlangError            the root: catch this to catch all of them
    ├── NotationError         the text is not the language: a character, a bracket, a field
    ├── MeaningError          well-formed, but it can't mean anything: a name, an option, a range
    ├── LimitError            larger than `chainlang.limits` allows
    ├── SourceError           a file that can't be read: missing, not text, outside its folder
    ├── DocumentError         JSON that is not a chain
    ├── RowError              a row has no result; other rows are not touched
    ├── StopError             a run stopped before its last row, and can be gone on with
    ├── EngineError           an engine can't be made: no library, no such address, no such model
    ├── SettingError          a setting that there is not, or a value that it does not take
    ├── OperandError          (also a TypeError) a Python value where a chain belongs
    └── VerifyError           a malformed node: a bug in chainlang, or in code that builds nodes
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable
from typing import Any

from chainlang.diagnostics.diagnostic import Diagnostic, Kind, in_order
from chainlang.diagnostics.render import render
from chainlang.diagnostics.source import Span


class ChainlangError(Exception):
    """The root of every error that chainlang raises on purpose.

    `diagnostics` holds all that was found, in the order of the text; `str()` renders them with
    the line and a caret.

    >>> from chainlang import chain
    >>> try:
    ...     chain("3:E:tiny:9 >> N")
    ... except ChainlangError as error:
    ...     [found.code for found in error.diagnostics]
    ['temperature', 'unknown-name']
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = in_order(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        return render(self.diagnostics)


class NotationError(ChainlangError):
    """The text is not in the language; the caret stands where reading had to stop."""


class MeaningError(ChainlangError):
    """The text is in the language, but a name, a count, an option or a place makes no sense."""


class LimitError(ChainlangError):
    """Something is larger than a limit allows; the message names the limit and how to raise it."""


class SourceError(ChainlangError):
    """A file could not be read as a chain: it is missing, is not UTF-8, or lies out of bounds."""


class DocumentError(ChainlangError):
    """A JSON document does not describe a chain."""


class RowError(ChainlangError):
    """A row has no result, or not the one that was asked for; other rows are not touched by it."""


class StopError(ChainlangError):
    """A run stopped before its last row: its budget is used up, or a model is down.

    `summary` is what a run into a folder had come to; the same call goes on with it.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], summary: Any = None) -> None:
        self.summary = summary
        super().__init__(diagnostics)


class EngineError(ChainlangError):
    """An engine can't be made as asked; the message says what is missing, or may not be."""


class SettingError(ChainlangError):
    """A run has no such setting, or it does not take this value; the message says where it is."""


class OperandError(ChainlangError, TypeError):
    """A Python value stands where a chain, or a plain literal, belongs."""


class VerifyError(ChainlangError):
    """A node is malformed: a bug in chainlang, or in code that builds nodes by hand."""


# The code of every error, and the exception that carries it.
ERRORS: dict[str, type[ChainlangError]] = {
    "syntax": NotationError,
    "unclosed": NotationError,
    "character": NotationError,
    "string": NotationError,
    "field": NotationError,
    "reserved": NotationError,
    "argument": NotationError,
    "empty": NotationError,
    "unknown-name": MeaningError,
    "unknown-option": MeaningError,
    "option": MeaningError,
    "count": MeaningError,
    "temperature": MeaningError,
    "model": MeaningError,
    "duplicate-name": MeaningError,
    "branch": MeaningError,
    "combinator": MeaningError,
    "cycle": MeaningError,
    "type": MeaningError,
    "template": MeaningError,
    "expression": MeaningError,
    "definition": MeaningError,
    "limit": LimitError,
    "file": SourceError,
    "path": SourceError,
    "json": DocumentError,
    "row": RowError,
    "stopped": StopError,
    "engine": EngineError,
    "setting": SettingError,
    "operand": OperandError,
    "malformed": VerifyError,
}


def error_of(
    code: str,
    message: str,
    hint: str | None = None,
    *,
    span: Span | None = None,
    kind: Kind | None = None,
    subject: str | None = None,
    known: Iterable[str] = (),
    setting: str | None = None,
) -> ChainlangError:
    """Return the error of one finding, of the class that belongs to its code.

    >>> error_of("setting", "outputs= is empty", "write outputs=['answer']")
    SettingError((Diagnostic(code='setting', message='outputs= is empty', ...),))
    """
    found = Diagnostic(
        code, message, span, hint, kind=kind, subject=subject, known=tuple(known), setting=setting
    )
    return ERRORS[code]([found])


def raise_errors(diagnostics: Iterable[Diagnostic]) -> None:
    """Raise the errors among the diagnostics, as the class of the first one; do nothing if none."""
    errors = [found for found in diagnostics if found.severity == "error"]
    if errors:
        first = in_order(errors)[0]
        raise ERRORS[first.code](errors)


class ChainlangWarning(UserWarning):
    """A chain that is right, but may not be what its author meant; `diagnostics` says why."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n" + render(self.diagnostics))


def raise_or_warn(diagnostics: Iterable[Diagnostic]) -> None:
    """Raise the errors among the diagnostics; if there are none, warn of each lint.

    Python shows the line of whoever called into chainlang, however deep the finding was made.
    """
    found = tuple(diagnostics)
    raise_errors(found)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    for one in found:
        warnings.warn(ChainlangWarning([one]), stacklevel=level)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == __name__.partition(".")[0]

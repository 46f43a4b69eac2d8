"""Exceptions, each with the diagnostics that describe the errors.

::

    ChainlangError            base class of all
    ├── NotationError         syntax error: a character, a bracket, a field
    ├── MeaningError          valid syntax, but an unknown name, a wrong option, an empty range
    ├── LimitError            larger than `chainlang.limits` allows
    ├── SourceError           a file that can't be read: missing, not text, outside its folder
    ├── DocumentError         JSON that is not a chain
    ├── RowError              a row without a result; other rows are not affected
    ├── StopError             a run stopped before its last row, and can be resumed
    ├── EngineError           an engine can't be created: no library, no such address or model
    ├── SettingError          an unknown setting, or an invalid value of one
    ├── OperandError          (also a TypeError) a Python value in place of a chain
    └── VerifyError           an invalid node: a bug in chainlang, or in code that builds nodes
"""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterable
from typing import Any, ClassVar

from chainlang.diagnostics.diagnostic import Diagnostic, Kind, in_order
from chainlang.diagnostics.render import render
from chainlang.diagnostics.source import Span

__all__ = [
    "ChainlangError",
    "ChainlangWarning",
    "DiskError",
    "DocumentError",
    "EngineError",
    "LimitError",
    "MeaningError",
    "NotationError",
    "OperandError",
    "RowError",
    "SettingError",
    "SourceError",
    "StopError",
    "VerifyError",
]


class ChainlangError(Exception):
    """Base class of all errors that chainlang raises on purpose.

    `diagnostics` are all errors found, in the order of the text; `str()` renders them with the
    source line and a caret. IPython and Jupyter show that and no frames, unless
    ``ChainlangError.full_traceback = True`` asks for them.

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

    full_traceback: ClassVar[bool] = False
    """Whether IPython and Jupyter show all frames of an error; else its page alone."""

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows in place of a traceback."""
        if self.full_traceback:
            return "".join(traceback.format_exception(self)).splitlines()
        notes = (line for note in getattr(self, "__notes__", ()) for line in note.splitlines())
        return [*render(self.diagnostics, colour=True).splitlines(), *notes]


class NotationError(ChainlangError):
    """Syntax error; the caret points at the place where parsing stopped."""


class MeaningError(ChainlangError):
    """Semantic error of a chain: an unknown name, or an invalid count, option or position."""


class LimitError(ChainlangError):
    """A chain is larger than a limit; the message names the limit and how to raise it."""


class SourceError(ChainlangError):
    """A file can't be read: it is missing, not UTF-8, or outside the folder of its chain."""


class DiskError(SourceError):
    """A file can't be read or written now: the disk is full, or another process holds a lock."""


class DocumentError(ChainlangError):
    """A JSON document is not a chain."""


class RowError(ChainlangError):
    """A row has no result, or lacks the requested one; other rows are not affected."""


class StopError(ChainlangError):
    """A run stopped before its last row: its budget is used up, or a model is unavailable.

    `summary` is the summary of a run into a folder so far; the same call resumes it.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic], summary: Any = None) -> None:
        self.summary = summary
        super().__init__(diagnostics)


class EngineError(ChainlangError):
    """An engine can't be created; the message has the reason."""


class SettingError(ChainlangError):
    """An unknown setting of a run, or an invalid value; the message says where it is set."""


class OperandError(ChainlangError, TypeError):
    """A Python value in place of a chain or a literal."""


class VerifyError(ChainlangError):
    """An invalid node: a bug in chainlang, or in code that builds nodes by hand."""


# Exception class of each code.
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
    "trace": OperandError,
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
    lines: Iterable[str] = (),
) -> ChainlangError:
    """Return an exception with one diagnostic, of the class of its code.

    >>> error_of("setting", "outputs= is empty", "write outputs=['answer']")
    SettingError((Diagnostic(code='setting', message='outputs= is empty', ...),))
    """
    found = Diagnostic(
        code,
        message,
        span,
        hint,
        kind=kind,
        subject=subject,
        known=tuple(known),
        setting=setting,
        lines=tuple(lines),
    )
    return ERRORS[code]([found])


def raise_errors(diagnostics: Iterable[Diagnostic]) -> None:
    """Raise the errors among diagnostics, if any, with the class of the first one."""
    errors = [found for found in diagnostics if found.severity == "error"]
    if errors:
        first = in_order(errors)[0]
        raise ERRORS[first.code](errors)


class ChainlangWarning(UserWarning):
    """Warning about a valid chain that may not be what its author meant."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n" + render(self.diagnostics))


def warn(diagnostic: Diagnostic) -> None:
    """Issue a warning with the line of the caller outside chainlang, whatever the depth."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(ChainlangWarning([diagnostic]), stacklevel=level)


def raise_or_warn(diagnostics: Iterable[Diagnostic]) -> None:
    """Raise the errors among diagnostics; if there are none, issue a warning for each."""
    found = tuple(diagnostics)
    raise_errors(found)
    for one in found:
        warn(one)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == __name__.partition(".")[0]

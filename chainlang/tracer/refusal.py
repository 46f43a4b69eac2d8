"""Refusals of what a traced function can't do, with a caret under the expression."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NoReturn

from attrs import define

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import ChainlangError, error_of
from chainlang.tracer.places import Place, here


@define
class _Refused:
    """The first refusal of a trace, which an `except` in the function may have caught."""

    error: ChainlangError | None = None


_CURRENT: ContextVar[_Refused | None] = ContextVar("refused", default=None)


@contextmanager
def refusals() -> Iterator[None]:
    """Raise the first refusal in a block, also if it was caught there."""
    refused = _Refused()
    before = _CURRENT.set(refused)
    try:
        yield
    finally:
        _CURRENT.reset(before)
    if refused.error is not None:
        raise refused.error


def refuse(message: str, hint: str | None = None, at: Place | None = None) -> NoReturn:
    """Raise an `OperandError` that points at the expression that the traced function evaluates.

    `at` is another place.
    """
    raise refusal(message, hint, at)


def refusal(message: str, hint: str | None = None, at: Place | None = None) -> ChainlangError:
    """Return the error of `refuse`; the trace raises it, whatever becomes of it until then."""
    if at is None and (found := here(sys._getframe(1))) is not None:
        at = found.place
    if at is not None and at.span is None:
        message = f"{message} ({at.words})"
    error = error_of("trace", message, hint, span=at.span if at else None)
    refused = _CURRENT.get()
    if refused is not None and refused.error is None:
        refused.error = error
    return error


def lint(message: str, hint: str, at: Place | None) -> Diagnostic:
    """Return a warning about what a trace can't follow."""
    if at is not None and at.span is None:
        message = f"{message} ({at.words})"
    return Diagnostic("traced-once", message, at.span if at else None, hint)

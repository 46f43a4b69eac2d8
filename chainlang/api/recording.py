"""Recorders of calls: while a function is traced, its calls of chains are recorded, and not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol


class Recorder(Protocol):
    """A recorder of the calls in a block."""

    def holds(self, value: object) -> bool:
        """Return whether a value is a stand-in of this recorder, or a text with one in it."""

    def call(self, called: Any, given: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        """Record a call of a chain or of a stage type, and return the stand-in of its result."""

    def text_of(self, chain: Any) -> str:
        """Return a chain as a text has it, or refuse it."""


_CURRENT: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def current() -> Recorder | None:
    """Return the recorder of this thread or task; None outside of a trace."""
    return _CURRENT.get()


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Record the calls of chains in a block."""
    before = _CURRENT.set(recorder)
    try:
        yield
    finally:
        _CURRENT.reset(before)

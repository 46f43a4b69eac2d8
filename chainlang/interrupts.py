"""Handling of Ctrl-C (SIGINT): recorded, deferred, or known to be safe while loading."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import FrameType

_loading = 0
_pending = False


def interrupt() -> None:
    """Record a Ctrl-C and raise `KeyboardInterrupt`.

    The code that runs at that moment may swallow the exception: a finalizer, a callback from C, a
    bare ``except`` of a library. So loops also call `check`.
    """
    global _pending  # noqa: PLW0603  # signals belong to the process
    _pending = True
    raise KeyboardInterrupt


def check() -> None:
    """Raise `KeyboardInterrupt` if there was a Ctrl-C since the last `clear`."""
    if _pending and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


def clear() -> None:
    """Discard a recorded Ctrl-C."""
    global _pending  # noqa: PLW0603
    _pending = False


class _Recorder:
    """Handler of SIGINT in a run, which defers a Ctrl-C without being replaced.

    Replacing a handler takes longer than writing a row.
    """

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.depth = 0
        self.is_waiting = False

    def __call__(self, *_: object) -> None:
        if self.depth and not self.is_waiting:
            self.is_waiting = True
            return
        self.is_waiting = False
        interrupt()

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if self.is_waiting and not self.depth:
            self.is_waiting = False
            interrupt()


_recorder: _Recorder | None = None
"""Handler of the run in the main thread, if there is one."""


@contextmanager
def interrupts_recorded() -> Iterator[None]:
    """Record Ctrl-C in the block, unless a handler other than Python's own is installed."""
    global _recorder  # noqa: PLW0603  # signals belong to the process
    on_main = threading.current_thread() is threading.main_thread()
    if not on_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    _recorder = _Recorder()
    signal.signal(signal.SIGINT, _recorder)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _recorder = None
        clear()


@contextmanager
def loading() -> Iterator[None]:
    """Mark the block as safe to interrupt at any point, with no work that needs a clean end."""
    global _loading  # noqa: PLW0603  # signals belong to the process
    _loading += 1
    try:
        yield
    finally:
        _loading -= 1


def is_loading() -> bool:
    """Return whether a `loading` block is active."""
    return _loading > 0


def interrupts_deferred() -> AbstractContextManager[None]:
    """Defer Ctrl-C to the end of the block; a second Ctrl-C is not deferred.

    Has an effect in the main thread only, since Ctrl-C does not interrupt others. A handler with a
    true attribute `ends_loading` is not deferred in a `loading` block, since it ends the process.
    """
    if _recorder is not None and _recorder.thread == threading.get_ident():
        return _recorder
    return _replaced()


@contextmanager
def _replaced() -> Iterator[None]:
    """Defer Ctrl-C in the block by another handler in place of the present one."""
    handler = signal.getsignal(signal.SIGINT)
    if is_loading() and getattr(handler, "ends_loading", False):
        yield
        return
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    deferred: list[tuple[int, FrameType | None]] = []

    def defer(number: int, frame: FrameType | None) -> None:
        deferred.append((number, frame))
        if len(deferred) > 1:
            for signal_arguments in deferred:
                with suppress(KeyboardInterrupt):
                    handler(*signal_arguments)
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, defer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if len(deferred) == 1:
            handler(*deferred[0])

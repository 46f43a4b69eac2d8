"""Handling of Ctrl-C (SIGINT): recorded, deferred, or known to be safe while loading."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import NoReturn

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
    """Handler of SIGINT in a run, which defers a Ctrl-C to the handler before it.

    It is not replaced for each block: replacing a handler takes longer than writing a row.
    """

    def __init__(self, handler: Callable[..., object]) -> None:
        self.handler = handler
        self.thread = threading.get_ident()
        self.depth = 0
        self.deferred: tuple[object, ...] | None = None
        """Arguments of the signal that waits for the end of the block."""

    def __call__(self, *arguments: object) -> None:
        first, self.deferred = self.deferred, None
        if first is not None:
            _second(self.handler, first, arguments)
        if self.depth and not _ends_loading(self.handler):
            self.deferred = arguments
            return
        self.handler(*arguments)

    def __enter__(self) -> None:
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1
        if self.deferred is not None and not self.depth:
            deferred, self.deferred = self.deferred, None
            self.handler(*deferred)


_recorder: _Recorder | None = None
"""Handler of the run in the main thread, if there is one."""


@contextmanager
def interrupts_recorded() -> Iterator[None]:
    """Record Ctrl-C in the block, and pass it to the present handler."""
    global _recorder  # noqa: PLW0603  # signals belong to the process
    on_main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    if not on_main or not callable(before) or isinstance(before, _Recorder):
        yield
        return
    is_own = before is signal.default_int_handler
    _recorder = _Recorder((lambda *_: interrupt()) if is_own else before)
    signal.signal(signal.SIGINT, _recorder)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        _recorder = None
        if is_own:
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
    found = signal.getsignal(signal.SIGINT)
    on_main = threading.current_thread() is threading.main_thread()
    if not on_main or not callable(found) or _ends_loading(found):
        yield
        return
    handler: Callable[..., object] = found
    deferred: list[tuple[object, ...]] = []

    def defer(*arguments: object) -> None:
        deferred.append(arguments)
        if len(deferred) > 1:
            _second(handler, *deferred)

    signal.signal(signal.SIGINT, defer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if len(deferred) == 1:
            handler(*deferred[0])


def _ends_loading(handler: object) -> bool:
    """Return whether a handler ends what is being loaded, and so is not deferred."""
    return is_loading() and getattr(handler, "ends_loading", False)


def _second(handler: Callable[..., object], *signals: tuple[object, ...]) -> NoReturn:
    """Call a handler for a Ctrl-C that was deferred and for the one after it, and interrupt."""
    for arguments in signals:
        with suppress(KeyboardInterrupt):
            handler(*arguments)
    raise KeyboardInterrupt

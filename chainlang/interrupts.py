"""Where Ctrl-C would leave half of something behind, and where it would leave nothing."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_loading = 0
_heard = False


def hear() -> None:
    """Take note of a Ctrl-C, and raise it.

    Whatever runs at that moment may swallow the exception: a finalizer, a callback from C, a bare
    ``except`` of a library. So whoever works in a loop asks `check` as well.
    """
    global _heard  # noqa: PLW0603  # of the process, as signals are
    _heard = True
    raise KeyboardInterrupt


def check() -> None:
    """Raise KeyboardInterrupt again, if there was one that something has swallowed."""
    if _heard and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


def forget() -> None:
    """Forget a Ctrl-C whose work is done, or that is another's business."""
    global _heard  # noqa: PLW0603
    _heard = False


@contextmanager
def noted() -> Iterator[None]:
    """Take note of Ctrl-C in the block, where Python alone would handle it."""
    on_main = threading.current_thread() is threading.main_thread()
    if not on_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: hear())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        forget()


@contextmanager
def loading() -> Iterator[None]:
    """Say that in the block nothing is begun that would have to be ended well."""
    global _loading  # noqa: PLW0603  # of the process, as signals are
    _loading += 1
    try:
        yield
    finally:
        _loading -= 1


def is_loading() -> bool:
    """Return whether such a block is being run."""
    return _loading > 0


@contextmanager
def held() -> Iterator[None]:
    """Hold Ctrl-C back until the block is done. A second one is not held.

    In a thread that is not the main one this does nothing: Ctrl-C interrupts the main one alone.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    heard: list[tuple[int, FrameType | None]] = []

    def note(number: int, frame: FrameType | None) -> None:
        heard.append((number, frame))
        if len(heard) > 1:
            for one in heard:
                with suppress(KeyboardInterrupt):
                    handler(*one)
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if len(heard) == 1:
            handler(*heard[0])

"""Ctrl-C during a command.

The first one ends the run in order: the run folder keeps its rows and is marked as interrupted. The
second one ends the process at once, and so does the first while a model loads: there is no row to
save then, and the libraries that load models tend to swallow the exception.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from chainlang.interrupts import clear, interrupt, is_loading

STATUS = 130
"""Exit status of an interrupted command."""
LONGEST = 2.0
"""Seconds that closing the models may take after Ctrl-C."""


class _Handler:
    ends_loading = True

    def __init__(self) -> None:
        self.interrupted = False

    def __call__(self, *_: object) -> None:
        if self.interrupted or is_loading():
            leave()
        self.interrupted = True
        interrupt()


@contextmanager
def handled() -> Iterator[None]:
    """Handle Ctrl-C in the block, unless the signal is ignored, as after nohup.

    A process that was started with the signal blocked takes it in the block alone: what comes
    earlier is delivered at its start, and what comes later is dropped with the process.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, _Handler())
    try:
        with _delivered():
            yield
    finally:
        signal.signal(signal.SIGINT, before)
        clear()


@contextmanager
def _delivered() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def bounded(seconds: float | None = None) -> Iterator[None]:
    """End the process if the block takes longer than `seconds`, by default `LONGEST`.

    The system then frees its resources.
    """
    timer = threading.Timer(LONGEST if seconds is None else seconds, leave)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def leave() -> NoReturn:
    """End the process at once: the exit handlers of libraries can take long with a model."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(STATUS)

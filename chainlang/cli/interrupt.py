"""What Ctrl-C does to a command.

The first one ends well what has been begun: a run folder keeps its rows, and is marked. The second
one just ends, and so does the first while a model loads: nothing has been begun then, and the
libraries that load it are apt to swallow the exception.
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
"""What a command exits with that was interrupted."""
LONGEST = 2.0
"""Seconds that closing models may take, when nobody wants to wait any more."""


class _Handler:
    def __init__(self) -> None:
        self.heard = False

    def __call__(self, *_: object) -> None:
        if self.heard or is_loading():
            leave()
        self.heard = True
        interrupt()


@contextmanager
def handled() -> Iterator[None]:
    """Handle Ctrl-C as the module says, in the block; not where it is ignored, as after nohup."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, _Handler())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        clear()


@contextmanager
def bounded(seconds: float = LONGEST) -> Iterator[None]:
    """End the process where the block takes longer. What it would give back goes then too."""
    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def leave() -> NoReturn:
    """End the process now. What libraries do at their end can take long, with a model loaded."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(STATUS)

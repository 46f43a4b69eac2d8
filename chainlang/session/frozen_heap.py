"""The heap of a process while a run makes many short-lived objects."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Keep the objects that exist out of garbage collection in the block.

    Each full collection visits all modules and models, and finds nothing. Nothing changes where the
    program has frozen its heap itself, or another run has.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()

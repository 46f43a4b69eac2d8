"""The heap of a process while a run makes many short-lived objects."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 5000  # objects that are made from one collection to the next, a few rows in 700


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Keep the objects that exist out of garbage collection in the block, and collect less often.

    Each full collection visits all modules and models, and finds nothing; the others visit the rows
    in flight again and again. Nothing changes where the program has frozen its heap itself, or
    another run has.
    """
    if gc.get_freeze_count():
        yield
        return
    before = gc.get_threshold()
    young, *older = before
    gc.freeze()
    if young:  # 0 turns collection off
        gc.set_threshold(max(young, _YOUNG), *older)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()

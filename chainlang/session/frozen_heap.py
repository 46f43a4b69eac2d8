"""The heap of a process while a run makes many short-lived objects."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_YOUNG = 20_000  # objects that are made from one collection to the next; a few rows make 700

_lock = threading.Lock()
_runs = 0
_is_of_program = False
"""Whether the program has frozen the heap. To ask Python counts the objects, each time."""
_restore: list[Callable[[], None]] = []


@contextmanager
def frozen_heap() -> Iterator[None]:
    """Keep the objects that exist out of garbage collection in the block, and collect less often.

    Each full collection visits all modules and models, and finds nothing; the others visit the rows
    in flight again and again. A heap that the program has frozen itself stays as it is. Blocks of
    several threads end with the last of them.
    """
    global _runs  # noqa: PLW0603  # the heap belongs to the process
    with _lock:
        _runs += 1
        if _runs == 1:
            _begin()
    try:
        yield
    finally:
        with _lock:
            _runs -= 1
            if not _runs:
                while _restore:
                    _restore.pop()()


def _begin() -> None:
    global _is_of_program  # noqa: PLW0603
    young, *older = before = gc.get_threshold()
    if 0 < young < _YOUNG:  # 0 turns collection off
        gc.set_threshold(_YOUNG, *older)
        _restore.append(lambda: gc.set_threshold(*before))
    _is_of_program = _is_of_program or gc.get_freeze_count() > 0
    if not _is_of_program:
        gc.freeze()
        _restore.append(gc.unfreeze)

"""Values that were computed once, kept beside what they were computed from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")
KEPT = 16
"""Values that one memo keeps; the oldest goes first."""
_CHANGING = threading.Lock()


class Memo:
    """A bounded memory of what an immutable object was made into, by everything that bears on it.

    It belongs to one object and not to its value: a copy, an equal object and an unpickled one
    have their own. Threads may share it; two that ask for a new key at the same time both compute
    it, and get the same value. What raises is not kept.

    >>> memo = Memo()
    >>> memo.get("a", lambda: 1), memo.get("a", lambda: 2)
    (1, 1)
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the value of a key, computed if it is not there."""
        try:
            found: T = self._kept[key]
        except KeyError:
            pass
        else:
            return found
        made = compute()
        with _CHANGING:
            found = self._kept.setdefault(key, made)
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return found

    def __len__(self) -> int:
        return len(self._kept)

    def __reduce__(self) -> tuple[type[Memo], tuple[()]]:
        return Memo, ()

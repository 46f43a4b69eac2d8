"""Cache of values computed from an immutable object."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")
KEPT = 16
"""Maximum number of values; the oldest is evicted first."""
_CHANGING = threading.Lock()


class Memo:
    """A bounded cache of values computed from one object, by key.

    Copies of the object, also unpickled ones, have caches of their own. It is thread-safe: if two
    threads request a new key, both compute it and get the same value. Exceptions are not cached.

    >>> memo = Memo()
    >>> memo.get("a", lambda: 1), memo.get("a", lambda: 2)
    (1, 1)
    """

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Hashable, Any] = {}

    def get(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the value of a key; compute it if it is missing."""
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

"""Objects that a process opens once, by key, and that no fork of it uses."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Opened = TypeVar("Opened")


class PerProcess(Generic[Key, Opened]):
    """Open objects by key. A forked process begins without any, and opens its own.

    Those of the parent are kept and never closed: their threads, locks and connections belong to
    the parent, and closing one would wait for a thread that the fork does not have.

    >>> opened = PerProcess[str, list[str]]()
    >>> opened.open("a", lambda: ["new"]), opened.open("a", lambda: ["another"])
    (['new'], ['new'])
    """

    def __init__(self) -> None:
        self._opened: dict[Key, Opened] = {}
        self._opening = threading.Lock()
        self._inherited: list[object] = []
        os.register_at_fork(after_in_child=self._forked)

    def __len__(self) -> int:
        return len(self._opened)

    def find(self, key: Key) -> Opened | None:
        """Return the open object of a key; None if there is none."""
        return self._opened.get(key)

    def opened(self) -> list[tuple[Key, Opened]]:
        """Return the open objects with their keys, in the order of their opening."""
        return list(self._opened.items())

    def open(self, key: Key, make: Callable[[], Opened]) -> Opened:
        """Return the open object of a key; `make` it if there is none."""
        with self._opening:
            if key not in self._opened:
                self._opened[key] = make()
            return self._opened[key]

    def drop(self, key: Key, end: Callable[[Opened], object]) -> None:
        """Call `end` for the object of a key, if any; later calls of `open` make another."""
        found = self._opened.pop(key, None)
        if found is not None:
            end(found)

    def close(self, end: Callable[[Opened], object]) -> None:
        """Call `end` for each object; later calls of `open` make new ones."""
        while self._opened:
            end(self._opened.popitem()[1])

    def _forked(self) -> None:
        self._inherited.append(self._opened)
        self._opened, self._opening = {}, threading.Lock()

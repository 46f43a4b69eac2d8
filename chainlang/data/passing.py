"""Rows at the beginning of a file that are known by a hash of their bytes, and are not parsed.

A run marks how far it has read a file of JSON lines, and one that goes on passes what is marked. Of
a row that is passed only the id is read, since no later row may have it.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import deque
from io import BufferedReader
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

EVERY = 1000
"""Number of rows from one mark to the next."""
MOST = 20_000_000
"""Number of rows that are passed at most: their ids take 8 bytes each."""
_HELD = 1 << 18  # bytes that are hashed at once
_BLOCK = 1 << 20
_BUCKETS = 1 << 16
_WORD = (1 << 64) - 1


@frozen
class Mark:
    """The beginning of a file of JSON lines that has a number of rows, all of them readable."""

    rows: int
    line: int
    """Number of its last line, which ends with a newline."""
    size: int
    """Its size in bytes, without a byte order mark."""
    digest: str


class OtherRowsError(Exception):
    """A file has not the rows of a mark, or rows that can't be passed."""


def _hash() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


@define(eq=False)
class Marks:
    """The marks of a file that is being read, the earliest first."""

    ready: deque[Mark] = field(factory=deque)
    _rows: int = 0
    _size: int = 0
    _digest: hashlib.blake2b = field(factory=_hash)
    _held: list[bytes] = field(factory=list)
    _room: int = _HELD
    _last: bytes = b""

    def read(self, line: bytes) -> None:
        """Add a line of the file."""
        self._last = line
        self._held.append(line)
        self._room -= len(line)
        if self._room < 0:
            self._settle()

    def _settle(self) -> None:
        self._digest.update(b"".join(self._held))
        self._size += _HELD - self._room
        self._held.clear()
        self._room = _HELD

    def row(self, line: int) -> None:
        """Count a row, the one in the line that was added last, and has a number."""
        self._rows += 1
        if self._rows % EVERY == 0 and self._last.endswith(b"\n"):
            self._settle()
            self.ready.append(Mark(self._rows, line, self._size, self._digest.hexdigest()))

    def due(self, rows: int) -> Mark | None:
        """Return the mark after a number of rows, if there is one, and forget those before it."""
        ready = self.ready
        while ready and ready[0].rows < rows:
            ready.popleft()
        return ready.popleft() if ready and ready[0].rows == rows else None

    def begin(self, mark: Mark, digest: hashlib.blake2b) -> None:
        """Go on after a mark, whose hash may be continued."""
        self._rows, self._size, self._digest = mark.rows, mark.size, digest


@define(eq=False)
class Passing:
    """The rows up to a mark, which are passed, and their ids."""

    mark: Mark
    path: Path = Path()
    """File that they are read from."""
    _buckets: tuple[array[int], ...] = field(
        factory=lambda: tuple(array("Q") for _ in range(_BUCKETS))
    )
    """Hashes of the ids, by their last bits."""

    def over(self, path: Path, file: BufferedReader, marks: Marks | None) -> None:
        """Read the rows of an open file.

        Raises `OtherRowsError` if they are not those of the mark.
        """
        self.path = path
        digest, left, rest, rows = _hash(), self.mark.size, b"", 0
        if self.mark.rows > MOST:
            raise OtherRowsError
        while left:
            block = file.read(min(left, _BLOCK))
            if not block:
                raise OtherRowsError
            digest.update(block)
            left -= len(block)
            whole, newline, rest = (rest + block).rpartition(b"\n")
            rows += self._read(whole + newline)
        if digest.hexdigest() != self.mark.digest or rest or rows != self.mark.rows:
            raise OtherRowsError
        if marks is not None:
            marks.begin(self.mark, digest)

    def _read(self, text: bytes) -> int:
        """Read the ids in some lines; return the number of their rows."""
        lines = [line for line in text.split(b"\n") if line and not line.isspace()]
        try:  # each of them is an object, if they are those of the mark
            rows = json.loads(b"[%b]" % b",".join(lines))
        except (ValueError, RecursionError) as error:
            raise OtherRowsError from error
        if len(rows) != len(lines):
            raise OtherRowsError
        buckets = self._buckets
        for row in rows:
            name = _name(row)
            number = hash(name)
            buckets[number % _BUCKETS].append(number & _WORD)
        return len(rows)

    def may_have(self, name: str) -> bool:
        """Return whether one of the rows has an id, or one with the same hash."""
        number = hash(name)
        return number & _WORD in self._buckets[number % _BUCKETS]


def _name(row: Any) -> str:
    """Return the id of a row. Raises `OtherRowsError` for one that is identified otherwise."""
    given = row.get("id") if type(row) is dict else None
    if type(given) is int:
        return str(given)
    if type(given) is not str or given.startswith("#"):  # as the hash of a content does
        raise OtherRowsError
    return given

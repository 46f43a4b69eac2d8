"""Each id once: the rows of a source are told apart by their ids, however many there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from chainlang.data.lines import refuse
from chainlang.data.row import BadRow, Row
from chainlang.diagnostics.render import shown
from chainlang.semantics.seeds import row_id

ROOM = 10_000
"""Bytes of ids that are kept in memory, about, before a file is made for them."""
_EACH = 100  # bytes that an id takes besides its text


def check_ids(rows: Iterable[Row | BadRow]) -> Iterator[Row | BadRow]:
    """Yield the rows, with a `BadRow` for each whose given ``id`` an earlier row has.

    Rows without an ``id`` may be equal: they are one row, and get equal draws. More ids than
    a few are kept in a temporary file, so memory does not grow with the rows. Raises `SourceError`
    if the disk is full.

    >>> [*check_ids([Row(1, {"id": 7}), Row(2, {"id": "7"}), Row(3, {"text": "a"})])][1].message
    "the id '7' is that of row 1 too: give each row its own, or none"
    """
    with closing(_Seen()) as seen:
        for row in rows:
            if isinstance(row, Row) and _has_id(row.fields):
                name = row_id(row.fields)
                first = seen.add(name, row.number)
                if first is not None:
                    what = f"the id {shown(name)} is that of row {first} too"
                    yield BadRow(row.number, f"{what}: give each row its own, or none")
                    continue
            yield row


def _has_id(fields: Mapping[str, Any]) -> bool:
    """Return whether a row's identity is its ``id``, and not a hash of its content."""
    given = fields.get("id")
    return isinstance(given, str | int) and not isinstance(given, bool)


class _Seen:
    """The ids so far, each with its row: in memory while they are few, then in a file."""

    def __init__(self) -> None:
        self._few: dict[str, int] = {}
        self._room = ROOM
        self._base: sqlite3.Connection | None = None

    def add(self, name: str, number: int) -> int | None:
        """Add an id; return the row that has it already, if there is one."""
        if self._base is None:
            if name in self._few:
                return self._few[name]
            self._room -= len(name) + _EACH
            if self._room > 0:
                self._few[name] = number
                return None
            self._base = self._spilled()
        row = (_encoded(name), number)
        with _on_disk():
            done = self._base.execute("INSERT OR IGNORE INTO ids VALUES (?, ?)", row)
        if done.rowcount:
            return None
        found = self._base.execute("SELECT number FROM ids WHERE id = ?", row[:1]).fetchone()
        return int(found[0])

    def _spilled(self) -> sqlite3.Connection:
        """Return a temporary file with the ids that were in memory."""
        # No name is a temporary file; the rows may be read in one thread after another.
        base = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        base.execute("CREATE TABLE ids (id BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID")
        base.execute("BEGIN")  # one transaction, never committed: it ends with the rows
        few, self._few = self._few, {}
        with _on_disk():
            rows = ((_encoded(name), number) for name, number in few.items())
            base.executemany("INSERT INTO ids VALUES (?, ?)", rows)
        return base

    def close(self) -> None:
        """Remove the file."""
        if self._base is not None:
            self._base.close()


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


@contextmanager
def _on_disk() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        refuse("the temporary file for ids", str(error), "point TMPDIR at a larger disk")

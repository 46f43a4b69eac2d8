"""Check that row ids are unique, in constant memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from typing import NoReturn

from chainlang.data.jsonl import read_jsonl
from chainlang.data.passing import Passing
from chainlang.data.refusal import refuse
from chainlang.data.row import BadRow, Row
from chainlang.diagnostics.render import shown

ROOM = 8 << 20
"""Approximate number of bytes of ids in memory: those of some forty thousand rows. Further ones are
in a temporary file, where each takes longer."""
_EACH = 200  # bytes that an id takes in addition to its text, with the origin of its row


def check_ids(
    rows: Iterable[Row | BadRow], passing: Passing | None = None
) -> Iterator[Row | BadRow]:
    """Yield the rows, with a `BadRow` for each row whose ``id`` an earlier row has.

    Rows without an ``id`` may be equal; they then have equal samples. Beyond a few megabytes, the
    ids are kept in a temporary file. The rows follow those of `passing`, which have ids, too.
    Raises `SourceError` if the disk is full.

    >>> [*check_ids([Row(1, {"id": 7}), Row(2, {"id": "7"}), Row(3, {"text": "a"})])][1].message
    "row 1 has the id '7' too: ids are unique, or left out"
    """
    with closing(Seen()) as seen:
        for row in rows:
            name = _id_of(row)
            if name is not None:
                if passing is not None and passing.may_have(name):
                    _add(seen, passing)  # to say which row it is
                    passing = None
                first = seen.add(name, row.origin)
                if first is not None:
                    other = row.origin.beside(first)
                    what = f"{other} has the id {shown(name)} too: ids are unique, or left out"
                    yield BadRow(row.number, what, row.fields, file=row.file)
                    continue
            yield row


def _add(seen: Seen, passing: Passing) -> None:
    """Add the ids of the rows that were passed."""
    for row in islice(read_jsonl(passing.path), passing.mark.rows):
        name = _id_of(row)
        if name is not None:
            seen.add(name, row.origin)


def _id_of(row: Row | BadRow) -> str | None:
    """Return the ``id`` of a row; None for one that is identified by a hash of its content."""
    given = row.fields.get("id") if isinstance(row, Row) else None
    if type(given) is str:
        return given
    return str(given) if isinstance(given, str | int) and not isinstance(given, bool) else None


class Seen:
    """Ids seen so far, with the labels of their rows: in memory, later in a temporary database."""

    def __init__(self) -> None:
        self._few: dict[str, object] = {}
        self._room = ROOM
        self._base: sqlite3.Connection | None = None

    def add(self, name: str, row: object) -> str | None:
        """Add an id with its row; return the label of an earlier row with it, or None.

        The label of a row is its text.
        """
        if self._base is None:
            if name in self._few:
                return str(self._few[name])
            self._room -= len(name) + _EACH
            if self._room > 0:
                self._few[name] = row
                return None
            self._base = self._spilled()
        entry = (_encoded(name), str(row))
        try:
            done = self._base.execute("INSERT OR IGNORE INTO ids VALUES (?, ?)", entry)
        except sqlite3.Error as error:
            _refuse(error)
        if done.rowcount:
            return None
        found = self._base.execute("SELECT row FROM ids WHERE id = ?", entry[:1]).fetchone()
        return str(found[0])

    def _spilled(self) -> sqlite3.Connection:
        """Move the ids in memory to a temporary database."""
        # The empty name means a temporary file. Rows may be read by one thread after another.
        base = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        base.execute("CREATE TABLE ids (id BLOB PRIMARY KEY, row TEXT) WITHOUT ROWID")
        base.execute("BEGIN")  # a single transaction, which is never committed
        few, self._few = self._few, {}
        rows = ((_encoded(name), str(row)) for name, row in few.items())
        try:
            base.executemany("INSERT INTO ids VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            _refuse(error)
        return base

    def close(self) -> None:
        """Close the database, which removes its file."""
        if self._base is not None:
            self._base.close()


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def _refuse(error: sqlite3.Error) -> NoReturn:
    refuse("the temporary file for ids", str(error), "point TMPDIR at a larger disk")

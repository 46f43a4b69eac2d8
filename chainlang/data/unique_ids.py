"""Each id once: the rows of a source are told apart by their ids, however many there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

from chainlang.data.lines import refuse
from chainlang.data.row import BadRow, Row
from chainlang.diagnostics.render import shown
from chainlang.semantics.seeds import row_id


def check_ids(rows: Iterable[Row | BadRow]) -> Iterator[Row | BadRow]:
    """Yield the rows, with a `BadRow` for each whose given ``id`` an earlier row has.

    Rows without an ``id`` may be equal: they are one row, and get equal draws. The ids are kept in
    a temporary file, so memory does not grow with the rows. Raises `SourceError` if the disk is
    full.

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
    """The ids so far, each with its row. What SQLite can't hold in its cache goes to a file."""

    def __init__(self) -> None:
        # No name is a temporary file; the rows may be read in one thread after another.
        self.base = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self.base.execute("CREATE TABLE ids (id BLOB PRIMARY KEY, number INTEGER) WITHOUT ROWID")
        self.base.execute("BEGIN")  # one transaction, never committed: it ends with the rows

    def add(self, name: str, number: int) -> int | None:
        """Add an id; return the row that has it already, if there is one."""
        data = name.encode("utf-8", "surrogatepass")
        try:
            done = self.base.execute("INSERT OR IGNORE INTO ids VALUES (?, ?)", (data, number))
        except sqlite3.Error as error:
            refuse("the temporary file for ids", str(error), "point TMPDIR at a larger disk")
        if done.rowcount:
            return None
        found = self.base.execute("SELECT number FROM ids WHERE id = ?", (data,)).fetchone()
        return int(found[0])

    def close(self) -> None:
        """Remove the file."""
        self.base.close()

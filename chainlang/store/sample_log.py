"""The SQLite tables of samples in a journal: entries in the order of recording, and their index.

Keys are hashes, so an index that each sample enters at once would change another page for each of
them. The keys of the last samples are in memory, and enter the index many at a time, in their
order. A file that is opened again has the keys of its last samples read from the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import define, field

from chainlang.store.key_filter import KeyFilter
from chainlang.store.sample_codec import Drawn, checksum, encoded, fits
from chainlang.store.sample_table import SAVE, read_entry
from chainlang.store.sqlite import Database, transaction

SCHEMA = (
    "CREATE TABLE samples (key BLOB NOT NULL, entry BLOB NOT NULL, sum BLOB NOT NULL); "
    "CREATE TABLE keys (key BLOB PRIMARY KEY, sample INTEGER NOT NULL) WITHOUT ROWID"
)
_RECENT = 16_384
"""Number of samples that enter the index at once; their keys take some 3 MB of memory."""
_CHUNK = 500  # keys of one query; SQLite's limit is 32,766
_COPIED = 20_000  # samples of a transaction
_INSERT = "INSERT INTO samples (rowid, key, entry, sum) VALUES (?, ?, ?, ?)"
_INDEX = "INSERT INTO keys SELECT key, rowid FROM samples WHERE rowid > ? AND rowid <= ? ORDER BY 1"
_COPY = """
INSERT INTO samples (key, entry, sum)
SELECT key, entry, sum FROM other.samples WHERE rowid > ? AND rowid <= ?
  AND NOT EXISTS (SELECT 1 FROM keys WHERE keys.key = other.samples.key)
ORDER BY rowid
"""

Entry = tuple[bytes, bytes, bytes]
"""A key, the entry of its sample, and the checksum of both."""


@define(eq=False)
class SampleLog:
    """Samples by key in the file of a journal. One whose key is there already is not recorded."""

    database: Database
    _recent: dict[bytes, int] = field(factory=dict)
    """Numbers of the samples that are not in the index, by key."""
    _last: int = 0
    """Number of the last sample."""
    _indexed: int = 0
    """Number of the last sample that is in the index."""
    _filter: KeyFilter | None = None
    """The keys in the index, if this process has recorded all of them."""

    @staticmethod
    def open(database: Database) -> SampleLog:
        """Return the samples of a file."""
        found, ask = SampleLog(database), database.connection.execute
        with database.errors():
            found._last = ask("SELECT max(rowid) FROM samples").fetchone()[0] or 0
            found._indexed = ask("SELECT max(sample) FROM keys").fetchone()[0] or 0
            found._filter = None if found._last else KeyFilter()
            if found._last - found._indexed > _RECENT:
                with transaction(database.connection):
                    found._index()
            rows = "SELECT key, rowid, entry, sum FROM samples WHERE rowid > ? ORDER BY rowid"
            for key, number, entry, total in ask(rows, [found._indexed]):
                if not fits(key, entry, total):  # a key that has changed would not be looked up
                    raise database.damaged(f"sample {number} does not match its checksum")
                found._recent[key] = number
        return found

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return the recorded samples of the keys."""
        wanted = [*keys]
        numbers = [number for key in wanted if (number := self._recent.get(key)) is not None]
        known = self._in_index(wanted) if self._indexed else []
        if not (numbers or known):
            return {}
        with self.database.errors():
            several = (*self._rows(_BY_NUMBER, numbers), *self._rows(_BY_KEY, known))
            return {row[0]: read_entry(self.database, *row) for rows in several for row in rows}

    def _in_index(self, keys: list[bytes]) -> list[bytes]:
        """Return the keys that may be in the index; the others are not."""
        return keys if self._filter is None else self._filter.among(keys)

    def _rows(self, question: str, values: Sequence[bytes] | Sequence[int]) -> Iterable[list[Any]]:
        """Yield the entries of a question, some at a time."""
        for start in range(0, len(values), _CHUNK):
            some = values[start : start + _CHUNK]
            asked = question.format(",".join("?" * len(some)))
            yield self.database.connection.execute(asked, some).fetchall()

    def record(self, drawn: Mapping[bytes, Drawn], notes: Iterable[tuple[Any, ...]] = ()) -> None:
        """Record samples and notes, all or none."""
        entries = [(key, encoded(one)) for key, one in drawn.items()]
        self.add([(key, entry, checksum(key, entry)) for key, entry in entries], [*notes])

    def add(self, rows: Sequence[Entry], notes: Sequence[Any] = ()) -> None:
        """Record samples with their checksums, and notes, all or none."""
        if not (rows or notes):
            return
        rows = self._new(rows)
        first, recent = self._last + 1, self._recent
        last, connection = self._last + len(rows), self.database.connection
        is_full = len(recent) + len(rows) >= _RECENT
        with self.database.errors(), transaction(connection):
            connection.executemany(_INSERT, [(n, *one) for n, one in enumerate(rows, first)])
            if notes:
                connection.executemany(SAVE, notes)
            if is_full:
                connection.execute(_INDEX, [self._indexed, last])
        self._last = last
        recent.update(zip([row[0] for row in rows], range(first, last + 1), strict=True))
        if is_full:
            if self._filter is not None:
                self._filter.add(recent)
            self._indexed = last
            recent.clear()

    def _new(self, rows: Sequence[Entry]) -> Sequence[Entry]:
        """Return the rows whose keys are not there."""
        recent = self._recent
        known = {row[0] for row in rows if row[0] in recent}
        if self._indexed and (likely := self._in_index([key for key, *_ in rows])):
            with self.database.errors():
                known.update(key for some in self._rows(_KNOWN, likely) for (key,) in some)
        return [row for row in rows if row[0] not in known] if known else rows

    def adopt(self, path: str) -> None:
        """Add the samples of another journal's file, as they are, with their checksums."""
        self._filter, connection = None, self.database.connection
        with self.database.errors():
            connection.execute("ATTACH ? AS other", [path])
            try:
                with transaction(connection):
                    self._index()
                (last,) = connection.execute("SELECT max(rowid) FROM other.samples").fetchone()
                for start in range(0, last or 0, _COPIED):
                    with transaction(connection):
                        connection.execute(_COPY, [start, start + _COPIED])
                        self._index()
            finally:
                connection.execute("DETACH other")

    def _index(self) -> None:
        """Add all samples to the index, in a transaction."""
        connection = self.database.connection
        (last,) = connection.execute("SELECT max(rowid) FROM samples").fetchone()
        connection.execute(_INDEX, [self._indexed, last or 0])
        self._last = self._indexed = last or 0
        self._recent.clear()

    def __len__(self) -> int:
        """Return the number of samples."""
        with self.database.errors():
            (count,) = self.database.connection.execute("SELECT count(*) FROM samples").fetchone()
        return int(count)


_BY_NUMBER = "SELECT key, entry, sum FROM samples WHERE rowid IN ({})"
_BY_KEY = """
SELECT samples.key, entry, sum FROM keys JOIN samples ON samples.rowid = keys.sample
WHERE keys.key IN ({})
"""
_KNOWN = "SELECT key FROM keys WHERE key IN ({})"

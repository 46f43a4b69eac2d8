"""The SQLite table of samples in a journal or a cache: entries by key, each with a checksum."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define, field

from chainlang.errors import error_of
from chainlang.store.sample_codec import (
    Drawn,
    LaterEntry,
    OddEntry,
    checksum,
    decoded,
    encoded,
    fits,
)
from chainlang.store.sqlite import Database, transaction

# Samples are stored in the order of their recording, with an index of keys: keys are hashes, so a
# table in their order would rewrite another page for each sample.
_COLUMNS = "key BLOB NOT NULL UNIQUE, entry BLOB NOT NULL, sum BLOB NOT NULL"
DURABLE = f"CREATE TABLE samples ({_COLUMNS})"
EVICTING = f"CREATE TABLE samples ({_COLUMNS}, used INTEGER); CREATE INDEX by_use ON samples (used)"
EARLIER = EVICTING.replace("key BLOB NOT NULL UNIQUE", "key BLOB PRIMARY KEY")
"""The same, as some caches have it that are still in use."""

_CHUNK = 500  # keys of one query; SQLite's limit is 32,766
_HOUR = 3600  # resolution of the time of last use; a write for each use would cost more
_SPARE = 0.9  # fraction of the maximum size that is kept when it is exceeded
_COUNTS = ("page_count", "freelist_count")

_TOKENS = """
SELECT sum(json_extract(CAST(entry AS TEXT), '$[0]') +
           json_extract(CAST(entry AS TEXT), '$[1].tokens')) FROM samples
"""

_Row = tuple[Any, ...]


def read_entry(database: Database, key: bytes, entry: bytes, total: bytes) -> Drawn:
    """Return the sample of an entry of a journal.

    Raises `SourceError` for one that is damaged, or of a later version.
    """
    if not fits(key, entry, total):
        raise database.damaged(f"sample {bytes(key).hex()} does not match its checksum")
    try:
        return decoded(entry)
    except OddEntry as error:
        raise database.damaged(f"sample {key.hex()} is no sample") from error
    except LaterEntry as error:
        name, hint = database.kind.name, database.kind.if_later
        what = f"this {name} has an entry that this version can't read: {error}"
        raise error_of("file", f"{database.path}: {what}", hint) from error


SAVE = "INSERT OR REPLACE INTO notes VALUES (?, ?, ?)"
"""Saves a note of a journal: its name, its entry and a checksum."""


@define(eq=False)
class SampleTable:
    """Samples by key in one file; thread-safe.

    With `durable` an entry is never replaced, and a damaged one or one of a later version is an
    error. Without it a new entry replaces the old one, a damaged one is removed, and both damaged
    and later ones count as missing. `evict` is the size in bytes above which the least recently
    used entries are removed; it requires a table with the column `used`.
    """

    database: Database
    durable: bool
    evict: int | None = None
    _lock: threading.Lock = field(factory=threading.Lock)

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return the recorded samples of the keys."""
        wanted = list(keys)
        found = dict[bytes, Drawn]()
        if not wanted:
            return found
        with self._lock, self.database.errors():
            for start in range(0, len(wanted), _CHUNK):
                some = wanted[start : start + _CHUNK]
                marks = ",".join("?" * len(some))
                question = f"SELECT * FROM samples WHERE key IN ({marks})"  # noqa: S608
                rows = self.database.connection.execute(question, some).fetchall()
                if self.durable:
                    found |= {row[0]: read_entry(self.database, *row) for row in rows}
                    continue
                damaged = [key for key, entry, total, *_ in rows if not fits(key, entry, total)]
                self._tend(rows, damaged)
                for key, entry, *_ in rows:
                    if key not in damaged:
                        self._decode(key, entry, found)
        return found

    def record(self, drawn: Mapping[bytes, Drawn], notes: Iterable[_Row] = ()) -> None:
        """Record samples and notes, all or none."""
        notes = list(notes)
        if not (drawn or notes):
            return
        used = () if self.evict is None else (int(time.time()),)
        rows: list[_Row] = []
        for key, one in drawn.items():
            entry = encoded(one)
            rows.append((key, entry, checksum(key, entry), *used))
        verb = "IGNORE" if self.durable else "REPLACE"
        values = ", ".join("?" * (3 + len(used)))
        insert = f"INSERT OR {verb} INTO samples VALUES ({values})"  # noqa: S608
        connection = self.database.connection
        with self._lock, self.database.errors(), transaction(connection):
            connection.executemany(insert, rows)
            if notes:  # a cache has none
                connection.executemany(SAVE, notes)
            if self.evict is not None and self.size() > self.evict:
                self._shrink(self.evict)

    def __len__(self) -> int:
        """Return the number of samples."""
        with self._lock, self.database.errors():
            return self._count()

    def expire(self, seconds: float) -> None:
        """Remove the entries that were last used more than `seconds` ago; the table evicts."""
        remove = "DELETE FROM samples WHERE used < ?"
        connection = self.database.connection
        with self._lock, self.database.errors(), transaction(connection):
            connection.execute(remove, [int(time.time() - seconds)])

    def size(self) -> int:
        """Return the number of bytes of the file that are in use."""
        ask = self.database.connection.execute
        (pages,), (free,) = (ask(f"PRAGMA {name}").fetchone() for name in _COUNTS)
        (each,) = ask("PRAGMA page_size").fetchone()
        return int((pages - free) * each)

    def tokens(self) -> int:
        """Return the tokens of all samples: of each its prompt, and its reply."""
        with self._lock, self.database.errors():
            (found,) = self.database.connection.execute(_TOKENS).fetchone()
        return int(found or 0)

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        with self._lock:
            self.database.close()

    def _count(self) -> int:
        (count,) = self.database.connection.execute("SELECT count(*) FROM samples").fetchone()
        return int(count)

    def _tend(self, rows: list[_Row], damaged: list[bytes]) -> None:
        """Remove damaged entries; update the time of use of the others."""
        now = int(time.time())
        old = () if self.evict is None else [row[0] for row in rows if row[3] < now - _HOUR]
        if not (damaged or old):
            return
        connection = self.database.connection
        with transaction(connection):
            remove = "DELETE FROM samples WHERE key = ?"
            connection.executemany(remove, [(key,) for key in damaged])
            use = "UPDATE samples SET used = ? WHERE key = ?"
            connection.executemany(use, [(now, key) for key in old])

    def _decode(self, key: bytes, entry: bytes, found: dict[bytes, Drawn]) -> None:
        try:
            found[key] = decoded(entry)
        except (OddEntry, LaterEntry):  # a cache is also used by the later version
            return

    def _shrink(self, size: int) -> None:
        """Remove the least recently used entries until `_SPARE` of the size is in use."""
        oldest = "SELECT key FROM samples ORDER BY used, rowid LIMIT max(1, ?)"
        while self.size() > size * _SPARE:
            if not (count := self._count()):
                return
            remove = f"DELETE FROM samples WHERE key IN ({oldest})"  # noqa: S608
            self.database.connection.execute(remove, [count // 10])

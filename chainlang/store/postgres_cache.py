"""A level of the cache in PostgreSQL, which several machines may share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from attrs import define

from chainlang.protocol.secret import Secret
from chainlang.store.postgres import Postgres
from chainlang.store.postgres_store import FIND
from chainlang.store.sample_codec import (
    Drawn,
    LaterEntry,
    OddEntry,
    checksum,
    decoded,
    encoded,
    fits,
)

if TYPE_CHECKING:
    from psycopg import Connection

_IF_FAILED = 'to run without it: leave out store, or cache="off"'
_PATIENCE = 2.0  # seconds: a run can do without its cache
_FIND = "SELECT key, entry, sum, used FROM chainlang_cache WHERE key = ANY(%b)"
_USE = """
UPDATE chainlang_cache SET used = now()
WHERE key = ANY(%b) AND used < now() - interval '1 hour'
"""
# In the order of the keys, so that two processes do not wait for each other.
_RECORD = """
INSERT INTO chainlang_cache (key, entry, sum)
SELECT * FROM unnest(%b::bytea[], %b::bytea[], %b::bytea[]) AS new (key, entry, sum) ORDER BY key
ON CONFLICT (key) DO UPDATE
SET entry = excluded.entry, sum = excluded.sum, used = excluded.used
"""


_EXPIRE = "DELETE FROM chainlang_cache WHERE used < now() - %s * interval '1 second'"
_SIZE = "SELECT coalesce(sum(octet_length(entry) + octet_length(key)), 0) FROM chainlang_cache"
_EVICT = """
DELETE FROM chainlang_cache WHERE key IN (
    SELECT key FROM (
        SELECT key,
            sum(octet_length(entry) + octet_length(key)) OVER (ORDER BY used DESC, key) AS sum
        FROM chainlang_cache
    ) AS kept WHERE sum > %s
)
"""
_EVICTING = 0x6576696374  # "evict": lock of the process that does
_SPARE = 0.9  # fraction of the maximum size that is kept when it is exceeded
_SHARE = 20  # the size is looked at whenever one in so many bytes of it may be new


@define(eq=False)
class InPostgres:
    """A level in PostgreSQL. An entry whose checksum does not match counts as missing.

    Entries that were last used more than `seconds` ago are removed, and if the entries are larger
    than `most` bytes, the least recently used.
    """

    database: Postgres
    most: int | None = None
    seconds: float | None = None
    _recorded: int | None = None
    """Bytes that were recorded since the size was looked at; None before the first time."""

    @staticmethod
    def open(url: Secret, most: int | None = None, seconds: float | None = None) -> InPostgres:
        """Connect to a database, and create the tables if they are missing.

        Raises `SourceError` if the connection fails, or the package psycopg is not installed.
        """
        database = Postgres.open(url, patience=_PATIENCE, if_failed=_IF_FAILED)
        return InPostgres(database, most, seconds)

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return the samples of the keys that are present."""
        wanted, found = iter(keys), dict[bytes, Drawn]()
        while some := list(islice(wanted, FIND)):
            for key, entry, total in self.database.read(partial(self._find, some)):
                if fits(key, entry, total):
                    with suppress(LaterEntry, OddEntry):
                        found[key] = decoded(entry)
        return found

    def _find(self, keys: list[bytes], connection: Connection[Any]) -> list[Any]:
        rows = connection.execute(_FIND, [keys], binary=True).fetchall()
        if (
            rows
        ):  # the time of use has a resolution of an hour; a write for each use would cost more
            connection.execute(_USE, [[row[0] for row in rows]])
        return [row[:3] for row in rows]

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples, replacing those under the same keys."""
        rows = [(key, entry := encoded(one), checksum(key, entry)) for key, one in drawn.items()]
        for start in range(0, len(rows), FIND):
            columns = [list(column) for column in zip(*rows[start : start + FIND], strict=True)]
            self.database.answer(partial(self._record, columns))
        self._shrink(sum(len(key) + len(entry) for key, entry, _ in rows))

    def _record(self, columns: list[Any], connection: Connection[Any]) -> None:
        connection.execute(_RECORD, columns)

    def _shrink(self, recorded: int) -> None:
        """Remove what is too old or too much, if enough was recorded since the last time."""
        most = self.most or 1 << 30
        due = self._recorded is None or self._recorded + recorded > most // _SHARE
        self._recorded = 0 if due else (self._recorded or 0) + recorded
        if due and not (self.most is None and self.seconds is None):
            self.database.answer(self._evict)

    def _evict(self, connection: Connection[Any]) -> None:
        lock = connection.execute("SELECT pg_try_advisory_xact_lock(%s)", [_EVICTING])
        if lock.fetchone() != (True,):  # another process does it
            return
        if self.seconds is not None:
            connection.execute(_EXPIRE, [self.seconds])
        if self.most is not None:
            (size,) = connection.execute(_SIZE).fetchone() or (0,)
            if size > self.most - self.most // _SHARE:  # until the next look
                connection.execute(_EVICT, [int(self.most * _SPARE)])

    def close(self) -> None:
        """Close the connection. Closing twice does nothing."""
        self.database.close()

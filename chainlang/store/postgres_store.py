"""The store of a journal in a database of PostgreSQL.

A run belongs to one process, its owner, which holds an advisory lock for as long as it is
connected. Its mark is also in the row of the run, and every transaction that records looks at it:
where a lock was lost with a connection and another process has taken the run, this one stops.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from attrs import define, field

from chainlang.errors import ChainlangError
from chainlang.store.postgres import Passing, Postgres
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

FIND = 500
"""Maximum number of keys of one query."""
_RECORD = 500  # samples of one statement
_IF_FAILED = "finished samples are saved; re-run the same command to resume"
_LOCK = "hashtextextended('chainlang ' || %s, 0)"
_INSERT = """
INSERT INTO chainlang_samples (run, key, entry, sum, owner, model, tokens)
SELECT %s, key, entry, sum, %s, model, tokens
FROM unnest(%b::bytea[], %b::bytea[], %b::bytea[], %b::text[], %b::integer[])
    AS new (key, entry, sum, model, tokens)
ON CONFLICT DO NOTHING RETURNING key
"""
_SAVE = """
INSERT INTO chainlang_notes (run, name, entry, sum) VALUES (%s, %s, %b, %b)
ON CONFLICT (run, name) DO UPDATE SET entry = excluded.entry, sum = excluded.sum
"""
_OWN = """
INSERT INTO chainlang_runs (run, owner, holder) VALUES (%s, %s, %s)
ON CONFLICT (run) DO UPDATE
SET owner = excluded.owner, holder = excluded.holder, since = now()
"""
_ERASE = """
DELETE FROM {table} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {table} WHERE run = %s LIMIT 10000))
"""
_POOLER = (
    "connect to the database itself or to a pooler in session mode: another process could not be "
    "kept out of the run"
)

_FREED, _STEP = 2.0, 0.05
"""Seconds that a server may take to notice that the session of an earlier owner has ended, and
between two looks."""


def readable(text: str) -> str:
    """Return a text as PostgreSQL takes it: a NUL and lone surrogates become escapes.

    >>> readable("a" + chr(0) + chr(0xd800))
    'a\\\\x00\\\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


@define(eq=False)
class PostgresStore:
    """The samples and notes of one run in a database."""

    database: Postgres
    run: str
    owner: str = field(factory=lambda: secrets.token_hex(8))
    """Mark of this process."""

    @staticmethod
    def open(database: Postgres, run: str) -> PostgresStore:
        """Return the store of a run in an open database, for reading until `own` is called."""
        return PostgresStore(database, readable(run))

    @property
    def is_new(self) -> bool:
        """Whether all keys in it are of the newest format; that is not known."""
        return False

    # ---- its owner

    def own(self) -> None:
        """Make this process the owner of the run, until the store is closed.

        Raises `SourceError` if another process is, or behind a pooler that would not hold a lock.
        """
        if self.database.shares_sessions():
            raise self.database.error("a pooler in transaction mode stands before it", _POOLER)
        until, other = time.monotonic() + _FREED, self._owned()
        while other and time.monotonic() < until:
            time.sleep(_STEP)
            other = self._owned()
        if not other:
            self.database.begin = self._own_again
            return
        what = f"another process is writing to the run {self.run}: {other}"
        raise self.database.error(what, "wait for it, or name another folder")

    def _owned(self) -> str:
        """Try to become the owner; return the owner, empty if it is this process."""
        try:
            self.database.answer(self._own)
        except _Owned as owned:
            return str(owned)
        return ""

    def _own(self, connection: Connection[Any]) -> None:
        if not self._locked(connection):
            raise _Owned(self._holder(connection))
        holder = readable(f"process {os.getpid()} on {socket.gethostname()}")
        connection.execute(_OWN, [self.run, self.owner, holder])

    def _own_again(self, connection: Connection[Any]) -> None:
        """Take the lock again after a connection was lost, unless another process has the run."""
        if not self._locked(connection):
            self._check_owner(connection)
            # The server has not noticed yet that this process has lost its connection.
            raise Passing("the lock of the lost connection is still held")
        self._check_owner(connection)

    def _locked(self, connection: Connection[Any]) -> bool:
        question = f"SELECT pg_try_advisory_lock({_LOCK})"
        return bool(connection.execute(question, [self.run]).fetchone() == (True,))

    def _holder(self, connection: Connection[Any]) -> str:
        question = "SELECT holder, since FROM chainlang_runs WHERE run = %s"
        found = connection.execute(question, [self.run]).fetchone()
        return "unknown" if found is None else f"{found[0]}, since {found[1]:%Y-%m-%d %H:%M:%S%z}"

    def _check_owner(self, connection: Connection[Any]) -> None:
        """Raise `SourceError` if another process has taken the run."""
        question = "SELECT owner FROM chainlang_runs WHERE run = %s FOR SHARE"
        if connection.execute(question, [self.run]).fetchone() != (self.owner,):
            what = f"another process has taken over the run {self.run}: {self._holder(connection)}"
            raise self.database.error(what, "let one process write to a run")

    # ---- samples

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return the recorded samples of the keys."""
        wanted, found = iter(keys), dict[bytes, Drawn]()
        while some := list(islice(wanted, FIND)):
            for key, entry, total in self.database.read(partial(self._find, some)):
                if not fits(key, entry, total):
                    raise self.damaged(f"sample {key.hex()} does not match its checksum")
                found[key] = self._decoded(key, entry)
        return found

    def samples(self) -> Iterator[list[tuple[bytes, bytes, bytes]]]:
        """Yield all samples of the run, some at a time: key, entry, checksum."""
        last = b""
        while rows := self.database.read(partial(self._after, last)):
            for key, entry, total in rows:
                if not fits(key, entry, total):
                    raise self.damaged(f"sample {key.hex()} does not match its checksum")
            yield rows
            last = rows[-1][0]

    def _after(self, last: bytes, connection: Connection[Any]) -> list[Any]:
        question = """SELECT key, entry, sum FROM chainlang_samples
                      WHERE run = %s AND key > %b ORDER BY key LIMIT 5000"""
        return connection.execute(question, [self.run, last], binary=True).fetchall()

    def _find(self, keys: list[bytes], connection: Connection[Any]) -> list[Any]:
        question = "SELECT key, entry, sum FROM chainlang_samples WHERE run = %s AND key = ANY(%b)"
        return connection.execute(question, [self.run, keys], binary=True).fetchall()

    def _decoded(self, key: bytes, entry: bytes) -> Drawn:
        try:
            return decoded(entry)
        except OddEntry as error:
            raise self.damaged(f"sample {key.hex()} is no sample") from error
        except LaterEntry as error:
            what = f"its journal has an entry that this version can't read: {error}"
            hint = "resume it with the version that started it, or start a new run"
            raise self.database.error(what, hint) from error

    def record(self, drawn: Mapping[bytes, Drawn], notes: Mapping[str, bytes]) -> None:
        """Record samples and save notes, all or none. Samples of keys that are present stay.

        Raises `SourceError` if another process has recorded another sample under a key.
        """
        if not (drawn or notes):
            return
        rows = []
        for key, one in drawn.items():
            entry = encoded(one)
            model = None if one.paid is None else readable(one.paid.model)
            rows.append((key, entry, checksum(key, entry), model, one.sample.tokens))
        saved = [
            (self.run, readable(name), entry, checksum(name.encode(), entry))
            for name, entry in notes.items()
        ]
        self.database.answer(partial(self._record, rows, saved))

    def _record(self, rows: list[Any], notes: list[Any], connection: Connection[Any]) -> None:
        self._check_owner(connection)
        for start in range(0, len(rows), _RECORD):
            some = rows[start : start + _RECORD]
            columns = [list(column) for column in zip(*some, strict=True)]
            answer = connection.execute(_INSERT, [self.run, self.owner, *columns], binary=True)
            there = {row[0] for row in some} - {key for (key,) in answer}
            if there:
                self._compare(connection, {row[0]: row[1] for row in some if row[0] in there})
        if notes:
            connection.cursor().executemany(_SAVE, notes)

    def _compare(self, connection: Connection[Any], entries: Mapping[bytes, bytes]) -> None:
        """Raise `SourceError` for other samples under these keys that another process recorded.

        Those of this process are there if the answer to the same work was lost.
        """
        question = """SELECT key, entry FROM chainlang_samples
                      WHERE run = %s AND key = ANY(%b) AND owner <> %s"""
        found = connection.execute(question, [self.run, list(entries), self.owner], binary=True)
        for key, entry in found:
            if self._decoded(key, entry).sample != decoded(entries[key]).sample:
                what = f"another process has recorded another sample {key.hex()} of {self.run}"
                hint = "let one process write to a run, and do not change its engine meanwhile"
                raise self.database.error(what, hint)

    def __len__(self) -> int:
        """Return the number of samples."""
        question = "SELECT count(*) FROM chainlang_samples WHERE run = %s"
        found = self.database.read(lambda c: c.execute(question, [self.run]).fetchone())
        return int(found[0]) if found else 0

    # ---- notes

    def read(self, name: str) -> bytes | None:
        """Return the note of a name; None if there is none."""
        question = "SELECT entry, sum FROM chainlang_notes WHERE run = %s AND name = %s"
        values = [self.run, readable(name)]
        row = self.database.read(lambda c: c.execute(question, values, binary=True).fetchone())
        if row is None:
            return None
        entry, total = row
        if not fits(name.encode(), entry, total):
            raise self.damaged(f"the note {name!r} does not match its checksum")
        return bytes(entry)

    def names(self, prefix: str) -> list[str]:
        """Return the names of notes that begin with a prefix, sorted."""
        question = """SELECT name FROM chainlang_notes WHERE run = %s AND starts_with(name, %s)
                      ORDER BY name COLLATE "C" """
        values = [self.run, readable(prefix)]
        rows = self.database.read(lambda c: c.execute(question, values).fetchall())
        return [name for (name,) in rows]

    def has_notes(self) -> bool:
        """Return whether the run has notes: each run has from its start on."""
        question = "SELECT EXISTS (SELECT 1 FROM chainlang_notes WHERE run = %s)"
        return self.database.read(lambda c: c.execute(question, [self.run]).fetchone()) == (True,)

    # ---- its end

    def erase(self) -> None:
        """Remove all samples and notes of the run."""
        for table in ("chainlang_notes", "chainlang_samples"):
            command = _ERASE.format(table=table)
            while self.database.answer(partial(self._erase, command)):
                pass

    def _erase(self, command: str, connection: Connection[Any]) -> int:
        self._check_owner(connection)
        return connection.execute(command, [self.run]).rowcount

    def damaged(self, what: str) -> ChainlangError:
        """Return the error of a damaged store."""
        hint = "start a new run in another folder; the results that are written stay readable"
        return self.database.error(f"the journal of {self.run} is damaged: {what}", hint)

    def close(self) -> None:
        """Close the connection. Closing twice does nothing."""
        self.database.close()


class _Owned(Exception):
    """Another process is the owner of a run; the message says which."""

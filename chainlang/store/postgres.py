"""A database of PostgreSQL: its connection, its tables, and the faults that pass by themselves.

The tables have entries and keys as bytes: PostgreSQL refuses a NUL and a lone surrogate in text and
in JSON, and models write both. `FORMAT` is the version of the tables.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define, field

from chainlang.errors import ChainlangError, error_of
from chainlang.interrupts import check
from chainlang.protocol.secret import Secret
from chainlang.store.postgres_address import Address

if TYPE_CHECKING:
    from psycopg import Connection, Error

Answer = TypeVar("Answer")
Work = Callable[["Connection[Any]"], Answer]

FORMAT = 1
_TABLES = """
CREATE TABLE chainlang_format (version integer NOT NULL);
CREATE TABLE chainlang_runs (
    run text PRIMARY KEY, owner text NOT NULL, holder text NOT NULL,
    since timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE chainlang_samples (
    run text, key bytea, entry bytea NOT NULL, sum bytea NOT NULL, owner text NOT NULL,
    model text, tokens integer NOT NULL, made timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run, key)
);
CREATE TABLE chainlang_notes (
    run text, name text, entry bytea NOT NULL, sum bytea NOT NULL, PRIMARY KEY (run, name)
);
CREATE TABLE chainlang_cache (
    key bytea PRIMARY KEY, entry bytea NOT NULL, sum bytea NOT NULL,
    used timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX chainlang_cache_by_use ON chainlang_cache (used);
"""
_CREATING = 0x636861696E  # "chain": lock while tables are created
_SESSION = """
SET statement_timeout = '60s'; SET lock_timeout = '20s';
SET idle_in_transaction_session_timeout = '60s'; SET synchronous_commit = on;
"""
_CONNECTION: dict[str, Any] = {
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
    "client_encoding": "UTF8",
    "fallback_application_name": "chainlang",
}

_PASSING = frozenset({
    "53300",  # too many connections
    "40001", "40P01",  # a conflict of transactions, a deadlock
    "57P01", "57P02", "57P03", "57P05",  # the server shuts down, starts, or ends the session
    "25P03", "55P03", "57014",  # a timeout of a transaction, a lock or a statement
})  # fmt: skip
_HINTS = {
    "28": "check the user and the password of the address",
    "42501": "give the user the right to create tables and to change them: GRANT CREATE ON SCHEMA",
    "42": "the tables chainlang_... were changed: restore them, or name another database",
    "53100": "free some space on the disk of the server; re-run the same command to resume",
}
"""Hints of errors that do not pass, by the beginning of their state."""
_WAITS = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each further try; the last is repeated."""


class Passing(Exception):
    """A fault that passes by itself; the message is shown when it does not."""


def _transaction(connection: Connection[Any]) -> AbstractContextManager[object]:
    return connection.transaction()


def _session(connection: Connection[Any]) -> object:
    """Return the number of the server's process that answers."""
    return connection.execute("SELECT pg_backend_pid()").fetchone()


@define(eq=False)
class Postgres:
    """A database with the tables of chainlang; thread-safe. Messages never have the password.

    Work that meets a fault which passes by itself is repeated on a new connection, until `patience`
    seconds are over: a restart of the server, a lost connection, a deadlock. So it must be such
    that a repetition changes nothing. Any other error is a `SourceError` at once.
    """

    address: Address
    patience: float
    if_failed: str
    """Hint of errors."""
    begin: Work[None] = lambda _: None
    """Work on each new connection, before any other."""
    say: Callable[[str], object] | None = None
    waits: int = 0
    """Number of times that the database was away."""
    waited: float = 0.0
    """Seconds of waiting for it."""
    _connection: Connection[Any] | None = None
    _has_failed: bool = False
    _lock: threading.RLock = field(factory=threading.RLock)

    @staticmethod
    def open(
        url: Secret,
        *,
        patience: float,
        if_failed: str,
        say: Callable[[str], object] | None = None,
    ) -> Postgres:
        """Connect to a database, and create the tables if they are missing.

        Raises `SourceError` if the connection fails, for tables of a later version, and if the
        package psycopg is not installed.
        """
        found = Postgres(Address.of(url), patience, if_failed, say=say)
        try:
            found._once(found._prepare)
        except Passing as fault:
            message = str(fault)
        else:
            return found
        raise found.error(message, "check that the server is running, and the address")

    @property
    def name(self) -> str:
        """Scheme, host, port and database, without user and password."""
        return self.address.name

    def read(self, work: Work[Answer]) -> Answer:
        """Return the answer of work that changes nothing, or in single statements."""
        return self.answer(work, nullcontext)  # a transaction would be two more round trips

    def answer(
        self,
        work: Work[Answer],
        within: Callable[[Connection[Any]], AbstractContextManager[object]] = _transaction,
    ) -> Answer:
        """Return the answer of work in one transaction, repeated while faults pass."""
        with self._lock:
            if self._has_failed:
                raise self.error("it failed before in this run")
            started: float | None = None
            for count in range(1 << 30):
                try:
                    answer = self._once(work, within)
                except Passing as fault:
                    started = time.monotonic() if started is None else started
                    message = str(fault)
                else:
                    if started is not None:
                        self.waits += 1
                        self.waited += time.monotonic() - started
                    return answer
                self._wait(count, started, message)
            raise AssertionError

    def _wait(self, count: int, started: float, message: str) -> None:
        """Wait before the next try. Raises `SourceError` if patience is over."""
        if self._connection is not None and self._connection.closed:
            self._drop()
        left = self.patience - (time.monotonic() - started)
        if count and left <= 0:
            self._has_failed = True
            raise self.error(f"{message}; it was away for {self.patience:g} s")
        if count == 2 and self.say is not None:
            self.say(f"{self.name} is away ({message}); waiting up to {self.patience:g} s")
        end = time.monotonic() + min(_WAITS[min(count, len(_WAITS) - 1)], max(left, 0))
        while (rest := end - time.monotonic()) > 0:
            check()  # Ctrl-C
            time.sleep(min(rest, 0.05))

    def shares_sessions(self) -> bool:
        """Return whether a pooler in transaction mode stands before the database.

        Behind a pooler the session is not the one that answered at first. In transaction mode
        another client is given the session of this one, between two transactions of it.
        """
        with self._lock:
            return self._once(self._meets_its_session, within=nullcontext)

    def _meets_its_session(self, connection: Connection[Any]) -> bool:
        own = _session(connection)
        if own == (connection.info.backend_pid,):
            return False
        with closing(self._connected()) as other, other.transaction():
            met = _session(other)
        return met == own or _session(connection) != own

    def _once(
        self,
        work: Work[Answer],
        within: Callable[[Connection[Any]], AbstractContextManager[object]] = _transaction,
    ) -> Answer:
        """Return the answer of work. Raises `Passing` for a fault that passes by itself."""
        from psycopg import Error

        is_new = self._connection is None
        try:
            connection = self._connection or self._connected()
            if is_new:
                self._connection = connection
                self.begin(connection)
            with within(connection):
                return work(connection)
        except Error as error:
            message, passes = _message(error, self.address), _passes(error)
            state = error.sqlstate or ""
        except BaseException:
            if is_new:  # so that `begin` is done again
                self._drop()
            raise
        # Not within the `except`: the other error holds the password.
        if passes:
            raise Passing(message)
        hints = (hint for start, hint in _HINTS.items() if state.startswith(start))
        raise self.error(message, next(hints, None))

    def _connected(self) -> Connection[Any]:
        from psycopg import connect

        # Nothing is prepared, since a pooler may give each transaction another session.
        found = connect(self.address.url, autocommit=True, prepare_threshold=None, **_CONNECTION)
        found.execute(_SESSION)
        return found

    def _prepare(self, connection: Connection[Any]) -> None:
        """Create the tables if they are missing.

        Raises `SourceError` for those of another version.
        """
        execute = connection.execute
        is_there = "SELECT to_regclass('chainlang_format') IS NOT NULL"
        if execute(is_there).fetchone() == (False,):
            execute("SELECT pg_advisory_xact_lock(%s)", [_CREATING])
            if execute(is_there).fetchone() == (False,):  # another process may have done so
                execute(_TABLES)
                execute("INSERT INTO chainlang_format VALUES (%s)", [FORMAT])
        versions = [version for (version,) in execute("SELECT version FROM chainlang_format")]
        if versions != [FORMAT]:
            told = ", ".join(map(str, versions)) or "none"
            what = f"its tables of chainlang have format {told}, and this version reads {FORMAT}"
            raise self.error(what, "use the version that made them, or another database")

    def error(self, what: str, hint: str | None = None) -> ChainlangError:
        """Return the error of this database."""
        return error_of("file", f"{self.name}: {what}", hint or self.if_failed)

    def close(self) -> None:
        """Close the connection. Closing twice does nothing."""
        with self._lock:
            self._has_failed = True
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _passes(error: Error) -> bool:
    """Return whether a fault passes by itself. One without a state is a broken connection."""
    from psycopg import InterfaceError, OperationalError

    state = error.sqlstate
    if state is None:
        return isinstance(error, OperationalError | InterfaceError)
    return state in _PASSING or state.startswith("08")


def _message(error: Error, address: Address) -> str:
    """Return the message of an error in one line, without the password."""
    text = error.diag.message_primary or str(error)
    text = " ".join(address.without_password(text).split())
    return f"{text} ({error.sqlstate})" if error.sqlstate else text

"""SQLite files with a format: opening, creation, checks and transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from attrs import define, frozen

from chainlang.errors import ChainlangError, error_of
from chainlang.store.io_errors import database_errors, error_code


@frozen(kw_only=True)
class FileKind:
    """A format of SQLite files, with the hints of its errors."""

    name: str
    """Name for messages: "journal"."""
    whole_name: str
    mark: int
    """The `application_id`, which distinguishes the files of other programs."""
    format: int
    """The `user_version`: the version of the tables, not of the entries."""
    schema: str
    earlier: tuple[str, ...] = ()
    """Schemas of the same format that earlier versions wrote."""
    earlier_formats: Mapping[int, str] = {}
    """Schemas by the formats of earlier versions whose files are still used."""
    pragmas: tuple[str, ...]
    check: Callable[[sqlite3.Connection], str | None] | None = None
    """Returns what is damaged in a file that is opened; None if it is not checked."""
    if_failed: str
    if_damaged: str
    if_later: str
    if_foreign: str


@define(eq=False)
class Database:
    """An open file. Changes are made in a `transaction`; `execute` commits by itself."""

    kind: FileKind
    path: str
    """Path for messages."""
    connection: sqlite3.Connection

    @staticmethod
    def open(kind: FileKind, path: str, address: str, **settings: Any) -> Database:
        """Open a file; create its tables if it is missing or empty.

        Raises `SourceError` for a file of another program, with another format, or damaged. Such a
        file is not changed: it is opened for reading first.
        """
        errors = database_errors(path, kind.name, failed=kind.if_failed, damaged=kind.if_damaged)
        with errors:
            if os.path.exists(address) and os.path.getsize(address):  # noqa: PTH110, PTH202
                _look(kind, path, address)
            connection = sqlite3.connect(address, isolation_level=None, **settings)
            found = Database(kind, path, connection)
            try:
                found._prepare()
            except BaseException:
                connection.close()
                raise
        return found

    def _prepare(self) -> None:
        execute = self.connection.execute
        is_new = self._is_new()
        for pragma in self.kind.pragmas:
            execute(f"PRAGMA {pragma}")
        if is_new:
            with transaction(self.connection):  # a crash in between leaves an empty file
                if self._is_new():  # another process may have created them meanwhile
                    for statement in self.kind.schema.split(";"):
                        execute(statement)
                    execute(f"PRAGMA application_id = {self.kind.mark}")
                    execute(f"PRAGMA user_version = {self.kind.format}")
        elif self.kind.check is not None:
            fault = self.kind.check(self.connection)
            if fault is not None:
                raise self.damaged(fault)

    def _is_new(self) -> bool:
        """Return whether the file is empty.

        Raises `SourceError` for one with another format, or with other tables: a view or a trigger
        in the place of a table could do anything.
        """
        kind, execute = self.kind, self.connection.execute
        # Read at once, since another process may be creating the tables.
        begun = self.connection.in_transaction
        if not begun:
            execute("BEGIN")
        try:
            (mark,) = execute("PRAGMA application_id").fetchone()
            (version,) = execute("PRAGMA user_version").fetchone()
            found = execute(_SCHEMA).fetchall()
        finally:
            if not begun and self.connection.in_transaction:  # a damaged file has ended it
                execute("ROLLBACK")
        if mark not in (0, kind.mark) or (found and mark != kind.mark):
            what = f"{self.path}: this database is not a {kind.whole_name}"
            raise error_of("file", what, kind.if_foreign)
        schemas = (kind.schema, *kind.earlier)
        if version != kind.format and version in kind.earlier_formats:
            schemas = (kind.earlier_formats[version],)
        elif found and version != kind.format:
            what = f"this {kind.name} has format {version}, and this version reads {kind.format}"
            raise error_of("file", f"{self.path}: {what}", kind.if_later)
        if found and frozenset(found) not in map(_tables, schemas):
            raise self.damaged(f"its tables are not those of a {kind.name}")
        return not found

    @property
    def format(self) -> int:
        """The format of the file: that of its kind, or an earlier one."""
        with self.errors():
            (version,) = self.connection.execute("PRAGMA user_version").fetchone()
        return int(version)

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        self.connection.close()

    def errors(self) -> AbstractContextManager[None]:
        """Raise an error of SQLite in the block as a `SourceError` about this file."""
        kind = self.kind
        return database_errors(self.path, kind.name, failed=kind.if_failed, damaged=kind.if_damaged)

    def damaged(self, what: str) -> ChainlangError:
        """Return the error of a damaged file."""
        message = f"{self.path}: the {self.kind.name} is damaged: {what}"
        return error_of("file", message, self.kind.if_damaged)


_SCHEMA = "SELECT type, name, tbl_name, sql FROM sqlite_schema"


@cache
def _tables(schema: str) -> frozenset[tuple[str, ...]]:
    """Return the tables and indexes of a schema, as SQLite lists them."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for statement in schema.split(";"):
            connection.execute(statement)
        return frozenset(connection.execute(_SCHEMA).fetchall())


def _look(kind: FileKind, path: str, address: str) -> None:
    """Raise for a file of another program or format, without changing it.

    One whose last transaction is to be undone can't be read unchanged; `_prepare` looks at it.
    """
    uri = f"{Path(address).absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, isolation_level=None, uri=True)) as connection:
        try:
            Database(kind, path, connection)._is_new()
        except sqlite3.OperationalError as error:
            if error_code(error) != sqlite3.SQLITE_READONLY_ROLLBACK:
                raise


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Make the changes of the block atomically; an exception rolls them back.

    >>> database = sqlite3.connect(":memory:", isolation_level=None)
    >>> with transaction(database):
    ...     _ = database.execute("CREATE TABLE kept (name TEXT)")
    >>> database.in_transaction
    False
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.execute("COMMIT")

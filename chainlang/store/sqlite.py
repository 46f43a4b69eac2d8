"""Changes of a database of SQLite that are made as one, or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Make the changes of the block together; none of them is made if it raises.

    >>> database = sqlite3.connect(":memory:", isolation_level=None)
    >>> with transaction(database):
    ...     _ = database.execute("CREATE TABLE kept (name TEXT)")
    >>> database.in_transaction
    False
    """
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.rollback()
        raise
    database.execute("COMMIT")

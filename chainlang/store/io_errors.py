"""Errors of the disk as `SourceError`: the file, what the system says of it, and what to do."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from chainlang.errors import error_of

_WHY = {
    errno.ELOOP: "a link stands here, and links in a run folder are not followed",
    errno.ENOTDIR: "something that is no folder stands here",
    errno.EEXIST: "another run has begun to write this file",
    errno.ENOENT: "this was removed while the run was writing",
}


@contextmanager
def file_errors(path: str) -> Iterator[None]:
    """Raise an `OSError` of the block as a `SourceError` about that path."""
    try:
        yield
    except OSError as error:
        why = _WHY.get(error.errno or 0) or error.strerror or "this can't be written"
        raise error_of("file", f"{path}: {why}") from error


@contextmanager
def database_errors(path: str, name: str, *, failed: str, damaged: str) -> Iterator[None]:
    """Raise an error of SQLite as a `SourceError` about a file, which is a journal or a cache.

    `failed` is the hint where the disk or another process is at fault, `damaged` where the content
    of the file is.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        raise error_of("file", f"{path}: {error}", failed) from error
    except sqlite3.DatabaseError as error:
        raise error_of("file", f"{path}: the {name} is damaged: {error}", damaged) from error
    except UnicodeDecodeError as error:  # SQLite quotes what it can't read
        what = f"{path}: the {name} is damaged: its tables are not those of a {name}"
        raise error_of("file", what, damaged) from error

"""Errors of files and databases as `SourceError`: the path, the cause, and a hint."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import DiskError, error_of

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of a disk, or of a share of it, that is full."""
_WHY = {
    errno.ELOOP: "this is a link, and links in a run folder are not followed",
    errno.ENOTDIR: "this is not a folder",
    errno.EEXIST: "another run is writing this file",
    errno.ENOENT: "this was removed while the run was writing",
}


@contextmanager
def file_errors(path: str) -> Iterator[None]:
    """Raise an `OSError` of the block as a `SourceError` about the path."""
    try:
        yield
    except OSError as error:
        why = _WHY.get(error.errno or 0) or error.strerror or "this can't be written"
        if error.errno in FULL:
            hint = "make room on the disk, then run the same command again"
            raise DiskError([Diagnostic("file", f"{path}: {why}", hint=hint)]) from error
        raise error_of("file", f"{path}: {why}") from error


@contextmanager
def database_errors(path: str, name: str, *, failed: str, damaged: str) -> Iterator[None]:
    """Raise an error of SQLite as a `SourceError` about a journal or a cache.

    `failed` is the hint for errors of the disk or of another process, `damaged` that for errors in
    the content of the file.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and error_code(error) is not None:
            raise DiskError([Diagnostic("file", f"{path}: {error}", hint=failed)]) from error
        raise error_of("file", f"{path}: the {name} is damaged: {error}", damaged) from error
    except UnicodeDecodeError as error:  # SQLite quotes what it can't read
        what = f"{path}: the {name} is damaged: its tables are not those of a {name}"
        raise error_of("file", what, damaged) from error


def error_code(error: sqlite3.Error) -> int | None:
    """Return the code SQLite gave an error, None for one of the Python module.

    The module raises an `OperationalError` of its own for a text that is not UTF-8.
    """
    return getattr(error, "sqlite_errorcode", None)

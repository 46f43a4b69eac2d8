"""Commands that need a library which is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from chainlang.errors import error_of


@contextmanager
def missing(library: str, extra: str) -> Iterator[None]:
    """Raise `SourceError` with the command that installs a library, if an import lacks it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != library:
            raise
        hint = f"run: pip install 'chainlang[{extra}]'"
        raise error_of(
            "file", f"this command needs {library}, which is not installed", hint
        ) from error

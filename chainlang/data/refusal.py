"""Refusal of a source that can't be read."""

from __future__ import annotations

from typing import NoReturn

from chainlang.errors import error_of


def refuse(source: object, message: str, hint: str | None = None) -> NoReturn:
    """Raise a `SourceError` about a source of rows."""
    raise error_of("file", f"{source}: {message}", hint)

"""Refusal of a source that can't be read."""

from __future__ import annotations

from typing import NoReturn

from chainlang.errors import error_of
from chainlang.semantics.origin import STDIN


def refuse(source: object, message: str, hint: str | None = None) -> NoReturn:
    """Raise a `SourceError` about a source of rows."""
    name = "stdin" if str(source) == STDIN else source
    raise error_of("file", f"{name}: {message}", hint)

"""`Row`: one row of a source; `BadRow`: the error in place of a row that can't be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

LARGEST_LINE = 16 << 20
"""Default maximum size of a line or record in bytes."""
DEEPEST = 100
"""Default maximum nesting of lists and objects in a row."""


@frozen
class Row:
    """One row of a source: its number, and its fields as JSON values."""

    number: int
    """Number of its first line in a text file; its position in other sources. Counted from 1."""
    fields: Mapping[str, Any] = field(hash=False)
    bare: bool = False
    """Whether the row was a string, so that the name of its only field is not the user's."""


@frozen
class BadRow:
    """A row that can't be read: its number and the reason. Other rows are not affected."""

    number: int
    message: str


class Unreadable(ValueError):
    """Error in one row, which becomes a `BadRow`."""

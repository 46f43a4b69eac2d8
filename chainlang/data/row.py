"""`Row`: one row of a source; `BadRow`: the error in place of a row that can't be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from chainlang.protocol.quick_init import quick_init
from chainlang.semantics.origin import Origin

LARGEST_LINE = 16 << 20
"""Default maximum size of a line or record in bytes."""
DEEPEST = 100
"""Default maximum nesting of lists and objects in a row."""


@quick_init
@frozen(weakref_slot=False)
class Row:
    """One row of a source: its number, and its fields as JSON values."""

    number: int
    """Number of its first line in a text file; its position in other sources. Counted from 1."""
    fields: Mapping[str, Any] = field(hash=False)
    bare: bool = False
    """Whether the row was a string, so that the name of its only field is not the user's."""
    is_text: bool = field(default=False, eq=False)
    """Whether its values are cells, which are all texts, so that an empty one may be no value."""
    file: str | None = field(default=None, eq=False)
    """Path of its file, as it was given; None for a row of another source."""

    @property
    def origin(self) -> Origin:
        """Position of the row in its source."""
        return Origin(self.number, self.file)


@frozen
class BadRow:
    """A row that can't be read: its number, and the reason. Other rows are not affected."""

    number: int
    message: str
    fields: Mapping[str, Any] = field(factory=dict, hash=False)
    """Fields that were read, as JSON values."""
    text: str | None = None
    """The beginning of a row without fields, or of one whose fields do not match its columns."""
    file: str | None = field(default=None, eq=False)
    """Path of its file, as it was given; None for a row of another source."""

    @property
    def origin(self) -> Origin:
        """Position of the row in its source."""
        return Origin(self.number, self.file)


_LONGEST = 1000  # characters of a malformed row that are kept


def beginning(text: str) -> str:
    """Return the beginning of the text of a row."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


class Unreadable(ValueError):
    """Error in one row, which becomes a `BadRow`."""

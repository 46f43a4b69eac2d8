"""A row as it was read, or what was wrong with it. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

LARGEST_LINE = 16 << 20
"""Bytes of one line, or of one row of a table, unless a caller says otherwise."""
DEEPEST = 100
"""How deep the lists and objects of a row may nest, unless a caller says otherwise."""


@frozen
class Row:
    """A row: its number in its source, and its fields as plain JSON values."""

    number: int
    """The line it begins on, in a file of lines; elsewhere its position, from 1."""
    fields: Mapping[str, Any] = field(hash=False)
    bare: bool = False
    """Whether it was a text and no more: its one field has a name that nobody gave it."""


@frozen
class BadRow:
    """A row that could not be read, and why. It takes the place of the row; the others go on."""

    number: int
    message: str


class Unreadable(ValueError):
    """What is wrong with one row; it becomes a `BadRow`."""

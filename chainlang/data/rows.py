"""A row as it was read, or what was wrong with it. Frozen values."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import field, frozen

from chainlang.places import row_id
from chainlang.report import shown

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


@frozen
class BadRow:
    """A row that could not be read, and why. It takes the place of the row; the others go on."""

    number: int
    message: str


class Unreadable(ValueError):
    """What is wrong with one row; it becomes a `BadRow`."""


def check_ids(rows: Iterable[Row | BadRow]) -> Iterator[Row | BadRow]:
    """Yield the rows, with a `BadRow` for each whose given ``id`` an earlier row has.

    Rows without an ``id`` may be equal: they are one row, and get equal draws. Of the ids only
    hashes of 64 bits are kept, about 100 bytes a row, so among a hundred million rows one in four
    thousand runs would see two ids as one.

    >>> [*check_ids([Row(1, {"id": 7}), Row(2, {"id": "7"}), Row(3, {"text": "a"})])][1].message
    "the id '7' is that of row 1 too: give each row its own, or none"
    """
    seen: dict[int, int] = {}
    for row in rows:
        if isinstance(row, Row) and _has_id(row.fields):
            name = row_id(row.fields)
            data = name.encode("utf-8", "surrogatepass")
            key = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big")
            first = seen.setdefault(key, row.number)
            if first != row.number:
                what = f"the id {shown(name)} is that of row {first} too"
                yield BadRow(row.number, f"{what}: give each row its own, or none")
                continue
        yield row


def _has_id(fields: Mapping[str, Any]) -> bool:
    """Return whether a row's identity is its ``id``, and not a hash of its content."""
    given = fields.get("id")
    return isinstance(given, str | int) and not isinstance(given, bool)

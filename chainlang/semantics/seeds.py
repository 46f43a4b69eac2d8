"""Where in a chain a sample is drawn, and the seed that follows from it.

A sample is a function of its place, never of the schedule: the seed is a hash of the run's seed,
the row and the place, plus the number of the sample. So the order of rows, the size of the window,
a crash and a resume change no token.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

Place = tuple[str, ...]
"""The way from the root of the normal form: positions, operands, branches, candidates, labels."""

_CONTENT = "#"
_SORTED = json.JSONEncoder(sort_keys=True, default=str)  # `json.dumps` makes one a call
_BITS = 48  # so that seed + sample number stays within what every engine takes


def seed(run_seed: int, row_id: str, place: Place) -> int:
    """Return the seed of the first sample at a place; sample *i* has this plus *i*.

    >>> seed(0, "row-1", ("0",)) == seed(0, "row-1", ("0",)) != seed(0, "row-1", ("1",))
    True
    """
    # JSON, so that no two different triples have the same text; `json.dumps` would take longer.
    text = f"[{run_seed}, {', '.join(map(quoted, (row_id, *place)))}]"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=_BITS // 8).digest(), "big")


def row_id(row: Mapping[str, Any]) -> str:
    """Return the identity of a row: its ``id``, or a hash of its content.

    Rows of equal content are one row, so they get equal draws.

    >>> row_id({"id": 7, "text": "a"}), row_id({"text": "a"}) == row_id({"text": "a"})
    ('7', True)
    """
    given = row.get("id")
    if isinstance(given, str | int) and not isinstance(given, bool):
        return str(given)
    text = _SORTED.encode(row)
    return (
        _CONTENT
        + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    )


def is_of_content(row_id: str) -> bool:
    """Return whether an identity may be that of a row's content, which equal rows share."""
    return row_id.startswith(_CONTENT)

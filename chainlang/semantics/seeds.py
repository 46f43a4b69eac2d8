"""Seeds of samples: a hash of the run's seed, the row's id and the place in the chain.

A sample depends on its place, never on the schedule. So the order of rows, the window, a crash and
a resume change no token.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

Place = tuple[str, ...]
"""Path from the root of the normal form: positions, operands, branches, candidates, labels."""

_CONTENT = "#"
_SORTED = json.JSONEncoder(sort_keys=True, default=str)  # `json.dumps` creates one for each call
_BITS = 48  # so that seed + sample number is in the range of every engine


def seed(run_seed: int, row_id: str, place: Place) -> int:
    """Return the seed of the first sample at a place; sample *i* has this seed plus *i*.

    >>> seed(0, "row-1", ("0",)) == seed(0, "row-1", ("0",)) != seed(0, "row-1", ("1",))
    True
    """
    # JSON, so that different triples have different texts; `json.dumps` would take longer.
    text = f"[{run_seed}, {quoted(row_id)}{_path(place)}]"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=_BITS // 8).digest(), "big")


@lru_cache(maxsize=4096)
def _path(place: Place) -> str:
    """Return the end of the text of a place, which many rows share."""
    return "".join([f", {quoted(part)}" for part in place])


def derived(seed: int, purpose: str) -> int:
    """Return the seed of a request that belongs to a sample with a seed, for a purpose.

    >>> derived(7, "answer") == derived(7, "answer") != derived(8, "answer")
    True
    """
    text = f"[{seed}, {quoted(purpose)}]"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=_BITS // 8).digest(), "big")


def row_id(row: Mapping[str, Any]) -> str:
    """Return the identity of a row: its ``id``, or a hash of the given fields.

    So rows with equal fields have equal samples.

    >>> row_id({"id": 7, "text": "a"}), row_id({"text": "a"}) == row_id({"text": "a"})
    ('7', True)
    """
    given = row.get("id")
    if given is not None and isinstance(given, str | int) and not isinstance(given, bool):
        return str(given)
    for value in row.values():
        if type(value) is not str:
            text = _SORTED.encode(row)
            break
    else:  # the usual row, and without an encoder
        text = f"{{{', '.join([f'{quoted(name)}: {quoted(row[name])}' for name in sorted(row)])}}}"
    return (
        _CONTENT
        + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
    )


def is_of_content(row_id: str) -> bool:
    """Return whether an identity may be a hash of a row's content, which equal rows share."""
    return row_id.startswith(_CONTENT)

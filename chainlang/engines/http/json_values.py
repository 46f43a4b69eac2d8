"""JSON of any shape from a server, checked value by value.

A value of another type than the protocol's raises `Malformed`, so that no shape of a response is an
error of the engine itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

Object: TypeAlias = Mapping[str, Any]

_MOST_TOKENS = 1 << 53
"""More tokens than any response has; larger numbers overflow what they are added to."""


class Malformed(Exception):
    """A response with a missing field, or one of the wrong type."""


def as_number(value: object) -> float | None:
    """Return a value that is a finite number; None for any other."""
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def as_tokens(usage: Object, name: str) -> int:
    """Return a number of tokens, 0 if the server sends none. Raises `Malformed`."""
    value = usage.get(name)
    number = 0.0 if value is None else as_number(value)
    if number is None or isinstance(value, bool) or number > _MOST_TOKENS:
        raise Malformed(f"`usage.{name}` is not a number of tokens")
    return max(0, int(number))


def as_object(value: object, where: str) -> Object:
    """Return a value that is a JSON object. Raises `Malformed` for any other."""
    if isinstance(value, dict):
        return value
    raise Malformed(f"{where} is not an object")


def as_list(value: object, where: str) -> list[Any]:
    """Return a value that is a list; an absent one is empty. Raises `Malformed` for any other."""
    if value is None:
        return []
    if isinstance(value, list):
        return value
    raise Malformed(f"{where} is not a list")


def as_index(value: object, where: str) -> int:
    """Return a value that is the number of a sample. Raises `Malformed` for any other."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise Malformed(f"{where}.index is not the number of a sample")

"""Conversion of Python values (data frames, pydantic models, Arrow, numpy) to JSON values."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from chainlang.data.row import DEEPEST, Unreadable
from chainlang.diagnostics.render import article

_MISSING = ("NaTType", "NAType")
_LARGEST = 10**4300  # Python prints no integer of more digits


def plain_row(value: object, deepest: int = DEEPEST) -> dict[str, Any]:
    """Return the fields of a mapping or a pydantic model as JSON values.

    Raises `Unreadable` for any other value, and for a field that can't be converted.

    >>> plain_row({"text": "a", "score": float("nan"), "tags": ("x", "y")})
    {'text': 'a', 'score': None, 'tags': ['x', 'y']}
    """
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        try:
            value = dump(mode="json")
        except Exception as error:  # serializers are user code
            raise Unreadable(f"model_dump() failed: {type(error).__name__}: {error}") from error
    if not isinstance(value, Mapping):
        what = article(type(value).__name__)
        raise Unreadable(f"{what} is not a row: write a string or a dict of fields")
    fields = {}
    for name, field in value.items():
        fields[_key(name)] = plain(field, deepest - 1, str(name))
    return fields


def plain(value: Any, depth: int = DEEPEST, path: str = "value") -> Any:
    """Return a value as None, a bool, an int, a float, a str, or a list or dict of these.

    Missing values (NaN, NaT, NA) become None; dates and times ISO 8601; decimals, UUIDs and paths
    strings; enums their values; numpy scalars and arrays numbers and lists. Raises `Unreadable`
    with `path`, the place of the value, for anything else, and for more than `depth` levels.
    """
    match value:
        case None | bool():
            return value
        case Enum():
            return plain(value.value, depth, path)
        case str():
            return str(value)
        case int():
            if not -_LARGEST < value < _LARGEST:
                raise Unreadable(f"{path}: a number of more than 4,300 digits")
            return int(value)
        case float():
            return _number(float(value), path)
    if isinstance(value, Mapping | list | tuple) and depth <= 0:
        raise Unreadable(f"{path}: nested too deeply, or contains itself")
    match value:
        case Mapping():
            return {
                _key(name): plain(one, depth - 1, f"{path}.{name}") for name, one in value.items()
            }
        case list() | tuple():
            return [plain(one, depth - 1, f"{path}[{at}]") for at, one in enumerate(value)]
    return _converted(value, depth, path)


def _converted(value: Any, depth: int, path: str) -> Any:
    """Convert a value of a type that JSON does not have. Raises `Unreadable`."""
    kind = type(value).__name__
    if kind in _MISSING:
        return None
    match value:
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case datetime.timedelta():
            from pydantic_core import to_jsonable_python  # ISO 8601: PT1H30M

            return to_jsonable_python(value)
        case Decimal():
            return None if value.is_nan() else str(value)
        case UUID() | PurePath():
            return str(value)
        case bytes() | bytearray() | memoryview():
            raise Unreadable(f"{path}: bytes are not a JSON value: decode them to a string first")
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return plain(dump(mode="json"), depth, path)
    listed = getattr(value, "tolist", None)  # numpy's scalars and arrays
    if callable(listed) and hasattr(value, "dtype"):
        if getattr(value.dtype, "kind", "") in "Mm" and value.dtype.str[1:] != "M8[D]":
            # tolist() of nanoseconds is an integer
            listed = value.astype(f"{value.dtype.kind}8[us]").tolist
        return plain(listed(), depth, path)
    raise Unreadable(f"{path}: {article(kind)} is not a JSON value")


def _number(value: float, path: str) -> float | None:
    if math.isinf(value):
        raise Unreadable(f"{path}: infinity is not a JSON value")
    return None if math.isnan(value) else value


def _key(name: object) -> str:
    if not isinstance(name, str):
        what = f"{article(type(name).__name__)} can't be the name of a field"
        raise Unreadable(f"{what}: names are strings")
    return str(name)

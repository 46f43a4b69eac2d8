"""Conversion of Python values (data frames, pydantic models, Arrow, numpy) to JSON values."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from chainlang.data.row import DEEPEST, Unreadable
from chainlang.diagnostics.render import article
from chainlang.semantics.not_json import NotJson

_MISSING = ("NaTType", "NAType")
_LARGEST = 10**4300  # Python prints no integer of more digits
_LONGEST_PATH = 60


def plain_row(value: object, deepest: int = DEEPEST) -> dict[str, Any]:
    """Return the fields of a mapping or a pydantic model as JSON values.

    A value that JSON can't hold becomes a `NotJson`, at any depth. Raises `Unreadable` for what is
    neither a mapping nor a model.

    >>> plain_row({"text": "a", "score": float("nan"), "tags": ("x", "y")})
    {'text': 'a', 'score': None, 'tags': ['x', 'y']}
    """
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        value = _dumped(dump)
    if not isinstance(value, Mapping):
        what = article(type(value).__name__)
        raise Unreadable(f"{what} is not a row: write a string or a dict of fields")
    fields = {}
    for name, field in value.items():
        fields[_key(name)] = plain(field, deepest - 1, str(name))
    return fields


def named_fields(value: Mapping[Any, Any], deepest: int = DEEPEST) -> dict[str, Any]:
    """Return the fields of a mapping that have names, as JSON values."""
    return {
        str(name): plain(one, deepest - 1, str(name))
        for name, one in value.items()
        if isinstance(name, str)
    }


def _dumped(dump: Callable[..., Any]) -> Any:
    """Return the values of a model as JSON, or as Python values where one of them is not JSON."""
    try:
        try:
            return dump(mode="json")
        except ValueError:  # pydantic's for a value that JSON can't hold, and for bytes
            return dump()
    except Exception as error:  # serializers are user code
        raise Unreadable(f"model_dump() failed: {type(error).__name__}: {error}") from error


def plain(value: Any, depth: int = DEEPEST, path: str = "value") -> Any:
    """Return a value as None, a bool, an int, a float, a str, or a list or dict of these.

    Missing values (NaN, NaT, NA) become None; dates and times ISO 8601; decimals, UUIDs and paths
    strings; enums their values; numpy scalars and arrays numbers and lists. Anything else is a
    `NotJson` whose reason has `path`, the place of the value, and so is what is nested more than
    `depth` levels deep.
    """
    try:
        return _plain(value, depth, path)
    except (Unreadable, _TooDeep) as error:
        return NotJson(str(error), value)


class _TooDeep(Exception):
    """Nesting beyond the limit, which costs the whole field: a list may contain itself twice."""


def _part(value: Any, depth: int, path: str) -> Any:
    """Convert a part of a value, as `plain`. Raises `_TooDeep`."""
    try:
        return _plain(value, depth, path)
    except Unreadable as error:
        return NotJson(str(error), value)


def _plain(value: Any, depth: int, path: str) -> Any:
    """Convert a value. Raises `Unreadable` for one that JSON can't hold, but not for its parts."""
    match value:
        case None | bool() | NotJson():
            return value
        case Enum():
            return _plain(value.value, depth, path)
        case str():
            return str(value)
        case int():
            if not -_LARGEST < value < _LARGEST:
                raise Unreadable(f"{path}: a number of more than 4,300 digits")
            return int(value)
        case float():
            return _number(float(value), path)
    if isinstance(value, Mapping | list | tuple) and depth <= 0:
        raise _TooDeep(f"{path[:_LONGEST_PATH]}: nested too deeply, or contains itself")
    match value:
        case Mapping():
            return {
                _key(name): _part(one, depth - 1, f"{path}.{name}") for name, one in value.items()
            }
        case list() | tuple():
            return [_part(one, depth - 1, f"{path}[{at}]") for at, one in enumerate(value)]
    return _converted(value, depth, path)


def _converted(value: Any, depth: int, path: str) -> Any:
    """Convert a value of a type that JSON does not have. Raises as `_plain`."""
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
        return _plain(_dumped(dump), depth, path)
    listed = getattr(value, "tolist", None)  # numpy's scalars and arrays
    if callable(listed) and hasattr(value, "dtype"):
        if getattr(value.dtype, "kind", "") in "Mm" and value.dtype.str[1:] != "M8[D]":
            # tolist() of nanoseconds is an integer
            listed = value.astype(f"{value.dtype.kind}8[us]").tolist
        return _plain(listed(), depth, path)
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

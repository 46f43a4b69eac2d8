"""JSON values of Python values: equal values have equal ones, in every process."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Set
from decimal import Decimal
from enum import Enum
from functools import lru_cache, partial
from typing import Any

from chainlang.datatypes.number_text import number_text

_JSON = json.JSONEncoder(sort_keys=True)
_WITHOUT_ORDER = frozenset({str, int, float, bool, type(None)})


def plain(value: Any, *, sort: bool = False) -> Any:
    """Return a value of a type or of a function as JSON values.

    The items of a set are sorted, since Python's own order differs between processes; with `sort`,
    so are the keys of mappings, which may stem from a set. Decimals have their canonical spelling,
    and times with an offset are in UTC. Objects have field names rather than aliases.

    Raises pydantic's `PydanticSerializationError` for a value that JSON can't hold.

    >>> plain({"tags": {"b", "a"}, "price": Decimal("12.50")})
    {'tags': ['a', 'b'], 'price': '12.5'}
    """
    if type(value) is str:
        return value
    return _ordered(value, _jsonable()(value), sort)


@lru_cache(maxsize=1)  # a statement `import` in `plain` would cost each value more
def _jsonable() -> Callable[[Any], Any]:
    """Return pydantic's conversion of a value to JSON values."""
    from pydantic_core import to_jsonable_python

    return partial(to_jsonable_python, by_alias=False, fallback=_known)


def in_order(items: Iterable[Any]) -> list[Any]:
    """Return the JSON values of a set in their order: numbers, then strings, then others.

    >>> in_order([10, "b", 9, ["x"], "a"])
    [9, 10, 'a', 'b', ['x']]
    """
    return sorted(items, key=_rank)


def _rank(item: Any) -> tuple[int, Any]:
    if isinstance(item, int | float) and item == item:  # noqa: PLR0124  # NaN has no order
        return 0, item
    return (1, item) if isinstance(item, str) else (2, _JSON.encode(item))


def _known(value: Any) -> Any:
    """Return a mapping or a set of a class that pydantic does not know as one that it does."""
    from pydantic_core import PydanticSerializationError

    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Set):
        return list(value)
    raise PydanticSerializationError(f"Unable to serialize unknown type: {type(value)}")


def _ordered(value: Any, made: Any, sort: bool) -> Any:
    """Return the JSON values `made` of a value in the order that the value has in any process."""
    kind = type(value)
    if kind in _WITHOUT_ORDER:  # most are
        return made
    if isinstance(value, Enum):
        value = value.value
    match made:
        case str() if isinstance(value, Decimal):
            return number_text(made) or made
        case str() if isinstance(value, datetime.datetime) and value.tzinfo is not None:
            return _in_utc(value, made)
        case list() if isinstance(value, Set) and len(value) == len(made):
            return in_order(_ordered(*pair, sort) for pair in zip(value, made, strict=True))
        case list() if isinstance(value, list | tuple | deque) and len(value) == len(made):
            return [_ordered(*pair, sort) for pair in zip(value, made, strict=True)]
        case dict() if kind is dict and len(value) > len(made):
            from pydantic_core import PydanticSerializationError

            raise PydanticSerializationError("two of its keys have the same text")
        case dict() if (kind is dict or isinstance(value, Mapping)) and len(value) == len(made):
            pairs = zip(made, value.values(), made.values(), strict=True)
            found = {
                name: plain_one if type(one) in _WITHOUT_ORDER else _ordered(one, plain_one, sort)
                for name, one, plain_one in pairs
            }
            return dict(sorted(found.items())) if sort else found
        case dict() if _is_object(value):
            return {
                name: _ordered(getattr(value, name, None), one, sort) for name, one in made.items()
            }
    return _ordered(value.root, made, sort) if _is_root(value) else made


def _in_utc(value: datetime.datetime, made: str) -> str:
    try:
        moved = value.astimezone(datetime.UTC)
    except OverflowError:  # in the first or the last day of the calendar
        return made
    return moved.isoformat().replace("+00:00", "Z")


def _is_object(value: Any) -> bool:
    """Return whether a value is an object whose fields are its attributes."""
    return dataclasses.is_dataclass(value) or (
        hasattr(type(value), "model_fields") and not _is_root(value)
    )


def _is_root(value: Any) -> bool:
    return bool(getattr(type(value), "__pydantic_root_model__", False))

"""JSON schemas as Anthropic's structured outputs take them, and what is left out of them.

Bounds of numbers, lengths and lists, patterns, and objects with free keys are not taken; a reply is
validated for them here. A small range of integers is sent as the list of its values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from attrs import define, field

_MOST_VALUES = 256
"""Longest list of values that a range of integers is sent as."""
_KEPT = frozenset({"type", "enum", "const", "description", "title", "default", "$ref", "format"})
_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})


class Unfit(Exception):
    """A schema that no reply fits, or that is none; the message says why."""


class _Free(Exception):
    """A part that the API has no form for, such as an object with free keys."""


@define
class _Reduced:
    """A schema on its way through, and the parts that are left out of it."""

    unkept: dict[str, None] = field(factory=dict)

    def of(self, schema: object) -> dict[str, Any]:
        """Return a part of a schema without what the API does not take."""
        if not isinstance(schema, dict):
            raise Unfit("a part of the schema is not an object")
        several = schema.get("type")
        if isinstance(several, list):
            return {"anyOf": [self.of({**schema, "type": one}) for one in several]}
        if several is not None and several not in _TYPES:
            raise Unfit(f"the schema has the type {several!r}")
        values = _values(schema)
        if values is not None:
            return {"enum": values}
        found = {name: value for name, value in schema.items() if name in _KEPT}
        if found.get("format", "date") not in _FORMATS:
            self._leave(found.pop("format"))
        for name in schema.keys() - _KEPT:
            if (part := self._part(name, schema)) is not None:
                found |= part
        if schema.get("type") == "object" and "properties" not in schema:
            raise _Free
        return found

    def _part(self, name: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return a part of a schema by the name of its keyword; None if it is left out."""
        value = schema[name]
        match name:
            case "properties":
                return {
                    name: {key: self.of(one) for key, one in value.items()},
                    "additionalProperties": False,
                }
            case "$defs" | "definitions":
                return {name: {key: self.of(one) for key, one in value.items()}}
            case "items":
                return {name: self.of(value)}
            case "required":
                return {name: value}
            case "anyOf" | "allOf":
                return {name: [self.of(one) for one in value]}
            case "oneOf":
                self._leave("that one of several fits, and no other")
                return {"anyOf": [self.of(one) for one in value]}
            case "additionalProperties" if value is False:
                return {name: False}
            case "minItems" if value in (0, 1):
                return {name: value}
        self._leave(name)
        return None

    def _leave(self, what: str) -> None:
        self.unkept[what] = None


def _values(schema: Mapping[str, Any]) -> list[int] | None:
    """Return the integers of a small range; None for another schema."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if schema.get("type") != "integer" or not isinstance(low, int) or not isinstance(high, int):
        return None
    if low > high:
        raise Unfit(f"no integer is at least {low} and at most {high}")
    others = schema.keys() - {"type", "minimum", "maximum", "title", "description"}
    return None if others or high - low >= _MOST_VALUES else [*range(low, high + 1)]


@lru_cache(maxsize=1024)
def reduced(schema: str) -> tuple[str | None, tuple[str, ...]]:
    """Return a schema as the API takes it, as JSON, and the parts that are left out.

    None for a schema that the API has no form for. Raises `Unfit`.

    >>> reduced('{"type": "integer", "minimum": 1, "maximum": 3}')
    ('{"enum": [1, 2, 3]}', ())
    >>> reduced('{"type": "string", "maxLength": 9}')
    ('{"type": "string"}', ('maxLength',))
    >>> reduced('{"type": "object", "additionalProperties": {"type": "string"}}')
    (None, ('the schema',))
    """
    parts = _Reduced()
    try:
        found = parts.of(json.loads(schema))
    except _Free:
        return None, ("the schema",)
    except (AttributeError, TypeError, RecursionError) as error:
        raise Unfit("the schema has parts of wrong types") from error
    return json.dumps(found), tuple(sorted(parts.unkept))

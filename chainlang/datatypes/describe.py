"""Description of a type in words, for the prompt of a model that has to reply with its values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from chainlang.datatypes.references import followed
from chainlang.datatypes.textual import TEXTUAL

_TEXTUAL = {
    TEXTUAL["date"].pattern: "a date, as 2026-11-30",
    TEXTUAL["datetime"].pattern: "a date and time, as 2026-11-30T09:30:00Z",
    TEXTUAL["decimal"].pattern: "a decimal number in quotes",
}
_WORDS = {"boolean": "true or false", "null": "null", "integer": "a whole number"}
_DEEPEST = 8


@lru_cache(maxsize=256)
def described(schema: str) -> str:
    """Return the description of the JSON schema of a type.

    >>> print(described('''{"type": "object", "properties": {
    ...     "why": {"type": "string"},
    ...     "score": {"type": "integer", "minimum": 1, "maximum": 5, "description": "1 is bad"}
    ... }}'''))
    an object with these fields
    - "why": a text
    - "score": a whole number from 1 to 5 (1 is bad)
    >>> described('{"enum": ["pos", "neg"]}')
    '"pos" or "neg"'
    """
    document = json.loads(schema)
    return _Words(document).whole(document)


class _Words:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root

    def whole(self, schema: Mapping[str, Any]) -> str:
        """Return the description of a reply; that of an object has a line for each field."""
        schema, said = followed(schema, self.root)
        if not schema.get("properties"):
            return self.short(schema) + _noted(said)
        fields = schema["properties"].items()
        lines = [f'- "{name}": {self.field(one)}' for name, one in fields]
        return "\n".join([f"an object with these fields{_noted(said)}", *lines])

    def field(self, schema: Any, depth: int = 0) -> str:
        schema, said = followed(schema if isinstance(schema, dict) else {}, self.root)
        return self.short(schema, depth) + _noted(said)

    def short(self, schema: Mapping[str, Any], depth: int = 0) -> str:
        """Return the description of a value on one line."""
        if depth > _DEEPEST:
            return "a value"
        inner = depth + 1
        match schema:
            case {"const": value}:
                return _json(value)
            case {"enum": values}:
                return _or(map(_json, values))
            case {"anyOf": options} | {"oneOf": options}:
                return _or(dict.fromkeys(self.field(one, inner) for one in options))
            case {"type": "string"}:
                return _text(schema)
            case {"type": "integer" | "number" | "boolean" | "null" as name}:
                return _WORDS.get(name, "a number") + _bounds(schema, "minimum", "maximum")
            case {"type": "array"}:
                size = _bounds(schema, "minItems", "maxItems")
                items = f", each {self.field(schema['items'], inner)}" if "items" in schema else ""
                return f"a list{size and f' of length{size}'}{items}"
            case {"properties": fields} if fields:
                each = (f'"{name}": {self.field(one, inner)}' for name, one in fields.items())
                return f"an object {{{', '.join(each)}}}"
            case {"additionalProperties": dict() as item}:
                return f"an object with any names, each {self.field(item, inner)}"
            case {"type": ["string", "number"]}:  # of `one("choices")`
                return "one of the choices that are given"
            case {"type": [*names]}:
                return _or(self.short({"type": name}, inner) for name in names)
        return "a value of JSON"


def _text(schema: Mapping[str, Any]) -> str:
    pattern = schema.get("pattern")
    if pattern in _TEXTUAL:
        return _TEXTUAL[pattern]
    size = _bounds(schema, "minLength", "maxLength")
    words = "a text" + (f" of length{size}" if size else "")
    words += f" that matches {pattern}" if pattern else ""
    return words + (f" (a {schema['format']})" if "format" in schema else "")


def _bounds(schema: Mapping[str, Any], low: str, high: str) -> str:
    least, most = schema.get(low), schema.get(high)
    if least is None and most is None:
        return ""
    if least is None:
        return f" up to {most}"
    return f" from {least}" + ("" if most is None else f" to {most}")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _or(several: Any) -> str:
    *others, last = several
    return f"{', '.join(others)} or {last}" if others else str(last)


def _noted(said: str) -> str:
    return f" ({' '.join(said.split())})" if said else ""

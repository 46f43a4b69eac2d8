"""What vLLM can hold a reply to, of all that a JSON schema can say.

Its grammar compiler passes over what it doesn't know (`not`, `uniqueItems`, `maximum` beside a
`$ref`), and the reply then breaks a promise that nobody took back. So what is known to be kept is
listed here, and everything else is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

_NOTES = {
    "$comment", "$defs", "$schema", "default", "definitions", "deprecated", "description",
    "examples", "title",
}  # fmt: skip
_ALONE = ("$ref", "anyOf", "enum", "const")  # a keyword beside one of these is passed over
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_KEPT = {
    "string": {"minLength", "maxLength"},
    "integer": _BOUNDS,
    "number": _BOUNDS,
    "boolean": set[str](),
    "null": set[str](),
    "array": {"items", "minItems", "maxItems"},
    "object": {"properties", "required", "additionalProperties"},
}
_JSON = {
    str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null",
    list: "array", dict: "object",
}  # fmt: skip

# One character of a JSON string. The compiler's own rule for strings of bounded length lets control
# characters through, which JSON does not allow.
_CHARACTER = r'([^"\\\x00-\x1f]|\\["\\/bfnrt])'


@lru_cache(maxsize=1024)
def enforceable(schema: str) -> str:
    """Return a schema, as text, that vLLM enforces and that says the same.

    Raises ValueError, in words for the reader, for what it would not keep.

    >>> enforceable('{"type": "integer", "maximum": 5}')
    '{"type": "integer", "maximum": 5}'
    >>> enforceable('{"type": "array", "uniqueItems": true}')
    Traceback (most recent call last):
        ...
    ValueError: vLLM can't hold a reply to "uniqueItems" (at #)
    """
    try:
        described = json.loads(schema)
        return json.dumps(_kept(described, "#"))
    except json.JSONDecodeError:
        raise ValueError("the schema is not JSON") from None
    except RecursionError:
        raise ValueError("the schema is nested too deeply") from None


def _kept(schema: Any, at: str) -> Any:
    """Return a schema without anything that would be passed over."""
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict):
        raise ValueError(f"the schema is not an object (at {at})")
    said = schema.keys() - _NOTES
    alone = next((keyword for keyword in _ALONE if keyword in said), None)
    if alone is not None:
        allowed = {alone, "type"} if alone in {"enum", "const"} else {alone}
    else:
        allowed = {"type"}.union(*(_keywords(one, at) for one in _types(schema)))
    strange = sorted(said - allowed)
    if strange:
        raise ValueError(f'vLLM can\'t hold a reply to "{strange[0]}" (at {at})')
    _check(schema, alone, at)
    return _bounded({**schema, **dict(_parts(schema, at))})


def _types(schema: dict[str, Any]) -> list[Any]:
    given = schema.get("type", [])
    return given if isinstance(given, list) else [given]


def _keywords(name: Any, at: str) -> set[str]:
    if not isinstance(name, str) or name not in _KEPT:
        raise ValueError(f"the schema has a type that JSON has not: {name!r} (at {at})")
    return _KEPT[name]


def _check(schema: dict[str, Any], alone: str | None, at: str) -> None:
    """Raise ValueError where keywords contradict each other and the compiler looks at one."""
    if alone in {"enum", "const"} and "type" in schema:
        values = schema["enum"] if alone == "enum" else [schema["const"]]
        names = _types(schema)
        for value in values if isinstance(values, list) else ():
            if _JSON[type(value)] not in names and not (type(value) is int and "number" in names):
                raise ValueError(f'vLLM can\'t hold a reply to "type" beside "{alone}" (at {at})')
    missing = sorted(set(schema.get("required", ())) - set(schema.get("properties", ())))
    if missing and alone is None:
        raise ValueError(f'the schema requires "{missing[0]}" and does not describe it (at {at})')


def _parts(schema: dict[str, Any], at: str) -> Iterator[tuple[str, Any]]:
    """Yield each keyword that holds schemas, with those schemas checked."""
    for keyword in ("properties", "$defs", "definitions"):
        if keyword in schema:
            many = schema[keyword]
            yield keyword, {key: _kept(one, f"{at}/{keyword}/{key}") for key, one in many.items()}
    for keyword in ("items", "additionalProperties"):
        if keyword in schema:
            yield keyword, _kept(schema[keyword], f"{at}/{keyword}")
    if "anyOf" in schema:
        many = schema["anyOf"]
        yield "anyOf", [_kept(one, f"{at}/anyOf/{index}") for index, one in enumerate(many)]


def _bounded(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with bounds on a string's length as a pattern. See `_CHARACTER`."""
    if schema.get("type") != "string" or not schema.keys() & {"minLength", "maxLength"}:
        return schema
    low, high = schema.get("minLength", 0), schema.get("maxLength", "")
    pattern = f"^{_CHARACTER}{{{low},{high}}}$"
    rest = {key: one for key, one in schema.items() if key not in {"minLength", "maxLength"}}
    return {**rest, "pattern": pattern}

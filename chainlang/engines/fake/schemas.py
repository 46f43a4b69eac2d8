"""Values that keep a JSON schema, for the fake engine: of the schemas that types become.

What another says besides is left out, and said; or the schema is refused, as a real engine would.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, TypeAlias

from chainlang.engines.grammar import regex

Below: TypeAlias = Callable[[int], int]
"""Draws a whole number from 0 to below a bound."""

_NOTES = frozenset(
    {"$comment", "$defs", "$schema", "default", "deprecated", "description", "examples", "title"}
)
_ALONE = ("$ref", "anyOf", "const", "enum")  # what stands beside one of these is not looked at
_KEPT = {
    "array": {"items", "minItems", "maxItems", "prefixItems"},
    "boolean": set[str](),
    "integer": {"minimum", "maximum"},
    "null": set[str](),
    "number": {"minimum", "maximum"},
    "object": {"properties", "required", "additionalProperties"},
    "string": {"minLength", "maxLength", "pattern"},
}
_RANGES = (("minimum", "maximum"), ("minItems", "maxItems"), ("minLength", "maxLength"))
_FEW = 10  # how many values there are where a schema allows more


@lru_cache(maxsize=1024)
def readable(schema: str, *, lenient: bool = False) -> tuple[Any, tuple[str, ...]]:
    """Return a schema that `value` keeps, and what of the one that was asked for is not in it.

    Raises ValueError, in words, for what is no schema, and if not `lenient`, for one that would not
    be kept as a whole.

    >>> readable('{"type": "integer", "maximum": 5}')
    ({'type': 'integer', 'maximum': 5}, ())
    >>> readable('{"type": "integer", "multipleOf": 10}', lenient=True)
    ({'type': 'integer'}, ('"multipleOf"',))
    >>> readable('{"type": "integer", "multipleOf": 10}')
    Traceback (most recent call last):
        ...
    ValueError: the fake engine can't hold a reply to "multipleOf"
    """
    try:
        found = json.loads(schema)
        unkept: list[str] = []
        for one in list(_parts(found)):
            unkept += _check(one, found)
    except json.JSONDecodeError:
        raise ValueError("the schema is not JSON") from None
    except RecursionError:
        raise ValueError("the schema is nested too deeply") from None
    except (AttributeError, TypeError):
        raise ValueError("the schema has a keyword whose value is of the wrong type") from None
    if unkept and not lenient:
        raise ValueError(f"the fake engine can't hold a reply to {unkept[0]}")
    return found, tuple(unkept)


def _parts(schema: Any) -> Iterator[Any]:
    """Yield a schema and all schemas in it."""
    yield schema
    if isinstance(schema, dict):
        inside = [*schema.get("$defs", {}).values(), *schema.get("properties", {}).values()]
        inside += [*schema.get("anyOf", []), *schema.get("prefixItems", [])]
        inside += [schema["items"]] if "items" in schema else []
        for one in inside:
            yield from _parts(one)


def _check(schema: Any, root: dict[str, Any]) -> Iterator[str]:
    """Take out of a schema what is not kept, and yield it; raise ValueError if it is none."""
    if not isinstance(schema, dict):
        raise ValueError("the schema is not an object")
    said = schema.keys() - _NOTES
    alone = next((keyword for keyword in _ALONE if keyword in said), None)
    kind = schema.get("type")
    if alone is None and kind is not None and (not isinstance(kind, str) or kind not in _KEPT):
        raise ValueError(f"the schema has a type that JSON has not: {kind!r}")
    for strange in sorted(
        said - ({alone, "type"} if alone else {"type", *_KEPT.get(str(kind), ())})
    ):
        yield f'"{strange}"'
        del schema[strange]
    if "pattern" in schema:
        yield from _check_pattern(schema)
    if alone == "$ref" and _named(schema) not in root.get("$defs", {}):
        raise ValueError(f"the schema refers to {schema['$ref']!r}, which is not in it")
    if any(schema.get(low, -math.inf) > schema.get(high, math.inf) for low, high in _RANGES):
        raise ValueError("the schema has a least value above its largest")
    if missing := sorted({*schema.get("required", ())} - schema.get("properties", {}).keys()):
        raise ValueError(f'the schema requires "{missing[0]}" and does not describe it')


def _check_pattern(schema: dict[str, Any]) -> Iterator[str]:
    try:
        regex.read(schema["pattern"])
    except ValueError as error:
        yield f'"pattern": {error}'
        del schema["pattern"]
        return
    for bound in schema.keys() & {"minLength", "maxLength"}:
        yield f'"{bound}" beside "pattern"'
        del schema[bound]


def _named(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).removeprefix("#/$defs/")


def value(schema: Any, root: Any, below: Below) -> Any:
    """Return a value that keeps a schema, which is `root` or a part of it."""
    if "$ref" in schema:
        return value(root["$defs"][_named(schema)], root, below)
    if "const" in schema:
        return schema["const"]
    for choices in ("enum", "anyOf"):
        if choices in schema:
            chosen = schema[choices][below(len(schema[choices]))]
            return chosen if choices == "enum" else value(chosen, root, below)
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {name: value(one, root, below) for name, one in properties.items()}
        case "array":
            if "prefixItems" in schema:
                return [value(one, root, below) for one in schema["prefixItems"]]
            least = schema.get("minItems", 0)
            count = least + below(min(schema.get("maxItems", least + 2) - least, 2) + 1)
            items = schema.get("items", {"type": "null"})
            return [value(items, root, below) for _ in range(count)]
        case "integer":
            low = math.ceil(schema.get("minimum", min(0, schema.get("maximum", 0))))
            most = math.floor(min(schema.get("maximum", math.inf), low + _FEW - 1))
            return low + below(most - low + 1)
        case "number":
            low = schema.get("minimum", min(0.0, schema.get("maximum", 0.0)))
            return low + (schema.get("maximum", low + 1) - low) * below(1001) / 1000
        case "boolean":
            return below(2) == 1
        case "null":
            return None
    if "pattern" in schema:
        return regex.sample(regex.read(schema["pattern"]), below)
    least = schema.get("minLength", 1)
    return (str(below(_FEW)) * max(least, 1))[: schema.get("maxLength", max(least, 1))]

"""JSON values that satisfy a schema, for the fake engine.

It enforces every keyword that chainlang's own types use. Other keywords are removed and reported,
or the schema is refused, as by a real engine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, TypeAlias

from chainlang.engines.grammar import regex

Below: TypeAlias = Callable[[int], int]
"""Function from a bound to an integer in [0, bound)."""

_NOTES = frozenset(
    {"$comment", "$defs", "$schema", "default", "deprecated", "description", "examples", "title"}
)
_ALONE = ("$ref", "anyOf", "const", "enum")  # keywords beside one of these have no effect
_ENFORCED = {
    "array": {"items", "minItems", "maxItems", "prefixItems"},
    "boolean": set[str](),
    "integer": {"minimum", "maximum"},
    "null": set[str](),
    "number": {"minimum", "maximum"},
    "object": {"properties", "required", "additionalProperties"},
    "string": {"minLength", "maxLength", "pattern"},
}
_RANGES = (("minimum", "maximum"), ("minItems", "maxItems"), ("minLength", "maxLength"))
_FEW = 10  # number of different values where a schema allows more


@lru_cache(maxsize=1024)
def enforceable(schema: str, *, lenient: bool = False) -> tuple[Any, tuple[str, ...]]:
    """Return the part of a schema that `sample_value` enforces, and the keywords that it does not.

    Raises `ValueError` if the text is not a JSON schema, and, unless `lenient`, if a keyword can't
    be enforced.

    >>> enforceable('{"type": "integer", "maximum": 5}')
    ({'type': 'integer', 'maximum': 5}, ())
    >>> enforceable('{"type": "integer", "multipleOf": 10}', lenient=True)
    ({'type': 'integer'}, ('"multipleOf"',))
    >>> enforceable('{"type": "integer", "multipleOf": 10}')
    Traceback (most recent call last):
        ...
    ValueError: the fake engine can't enforce "multipleOf"
    """
    try:
        document = json.loads(schema)
        unkept: list[str] = []
        for subschema in list(_subschemas(document)):
            unkept += _check(subschema, document)
    except json.JSONDecodeError:
        raise ValueError("the schema is not JSON") from None
    except RecursionError:
        raise ValueError("the schema is nested too deeply") from None
    except (AttributeError, TypeError):
        raise ValueError("the schema has a keyword whose value is of the wrong type") from None
    if unkept and not lenient:
        raise ValueError(f"the fake engine can't enforce {unkept[0]}")
    return document, tuple(unkept)


def _subschemas(schema: Any) -> Iterator[Any]:
    """Yield a schema and all schemas inside it."""
    yield schema
    if isinstance(schema, dict):
        inside = [*schema.get("$defs", {}).values(), *schema.get("properties", {}).values()]
        inside += [*schema.get("anyOf", []), *schema.get("prefixItems", [])]
        inside += [schema["items"]] if "items" in schema else []
        others = schema.get("additionalProperties")
        inside += [others] if isinstance(others, dict) else []
        for subschema in inside:
            yield from _subschemas(subschema)


def _check(schema: Any, root: dict[str, Any]) -> Iterator[str]:
    """Remove the keywords that are not enforced and yield them. Raises `ValueError`."""
    if not isinstance(schema, dict):
        raise ValueError("the schema is not an object")
    keywords = schema.keys() - _NOTES
    alone = next((keyword for keyword in _ALONE if keyword in keywords), None)
    kind = schema.get("type")
    if alone is None and kind is not None and (not isinstance(kind, str) or kind not in _ENFORCED):
        raise ValueError(f"the schema has an unknown type: {kind!r}")
    enforced = {alone, "type"} if alone else {"type", *_ENFORCED.get(str(kind), ())}
    for keyword in sorted(keywords - enforced):
        yield f'"{keyword}"'
        del schema[keyword]
    if "pattern" in schema:
        yield from _check_pattern(schema)
    if alone == "$ref" and _target(schema) not in root.get("$defs", {}):
        raise ValueError(f"the schema refers to {schema['$ref']!r}, which is not in it")
    if any(schema.get(low, -math.inf) > schema.get(high, math.inf) for low, high in _RANGES):
        raise ValueError("the schema has a minimum above its maximum")
    if missing := sorted({*schema.get("required", ())} - schema.get("properties", {}).keys()):
        raise ValueError(f'the schema requires "{missing[0]}", which has no schema')


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


def _target(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).removeprefix("#/$defs/")


def sample_value(schema: Any, root: Any, below: Below) -> Any:
    """Return a pseudo-random value that satisfies a schema, which is `root` or a part of it."""
    if "$ref" in schema:
        return sample_value(root["$defs"][_target(schema)], root, below)
    if "const" in schema:
        return schema["const"]
    for choices in ("enum", "anyOf"):
        if choices in schema:
            chosen = schema[choices][below(len(schema[choices]))]
            return chosen if choices == "enum" else sample_value(chosen, root, below)
    match schema.get("type"):
        case "object":
            properties = dict(schema.get("properties", {}))
            others = schema.get("additionalProperties")
            if isinstance(others, dict) and not properties:
                properties = {f"k{number}": others for number in range(below(3))}
            return {name: sample_value(one, root, below) for name, one in properties.items()}
        case "array":
            if "prefixItems" in schema:
                return [sample_value(one, root, below) for one in schema["prefixItems"]]
            least = schema.get("minItems", 0)
            count = least + below(min(schema.get("maxItems", least + 2) - least, 2) + 1)
            items = schema.get("items", {"type": "null"})
            return [sample_value(items, root, below) for _ in range(count)]
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

"""JSON schemas of classes, closed: each field is asked for, and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chainlang.datatypes.validation_errors import among

_NAMED = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")
_SEVERAL = ("anyOf", "oneOf", "prefixItems")
_SINGLE = ("additionalProperties", "contains", "items", "unevaluatedItems")


def closed(schema: Any) -> Any:
    """Return a schema whose objects require all their fields and take no others.

    An object that says itself what else it takes stays open. Values, such as defaults, are not
    schemas, and neither is what a schema excludes or tests.

    >>> closed({"type": "object", "properties": {"a": {}, "b": {"default": 1}}, "required": ["a"]})
    {'additionalProperties': False, 'type': 'object', 'properties': {'a': {}, 'b': {'default': 1}},
     'required': ['a', 'b']}
    """
    if not isinstance(schema, dict):
        return schema
    found = _within(schema, closed)
    if isinstance(parts := found.get("allOf"), list):  # the fields of one are others of the next
        found["allOf"] = [_asked_for(_within(one, closed)) for one in parts]
    found = _asked_for(found)
    is_whole = "properties" in found and not found.keys() & {"allOf", "patternProperties"}
    return {"additionalProperties": False, **found} if is_whole else found


def _asked_for(schema: Any) -> Any:
    fields = schema.get("properties") if isinstance(schema, dict) else None
    return {**schema, "required": [*fields]} if isinstance(fields, dict) else schema


def _within(schema: Any, change: Callable[[Any], Any]) -> Any:
    """Return a schema with its subschemas changed."""
    if not isinstance(schema, dict):
        return schema
    found = dict(schema)
    for key in _NAMED:
        if isinstance(named := found.get(key), dict):
            found[key] = {name: change(one) for name, one in named.items()}
    for key in _SEVERAL:
        if isinstance(several := found.get(key), list):
            found[key] = [change(one) for one in several]
    for key in _SINGLE:
        if isinstance(found.get(key), dict):
            found[key] = change(found[key])
    return found


# ---------------------------------------------------------------- fields beyond a schema


def extra_fields(value: Any, schema: Any, root: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yield a message for each field of a JSON value that its closed schema does not have.

    >>> schema = closed({"properties": {"tags": {"items": {"properties": {"name": {}}}}}})
    >>> [*extra_fields({"tags": [{"name": 1, "nam": 2}]}, schema, schema)]
    ["tags[0].nam: there is no such field; did you mean 'name'?"]
    """
    if not isinstance(schema, dict) or not isinstance(value, dict | list):
        return
    for key in ("anyOf", "oneOf"):
        if isinstance(options := schema.get(key), list):
            each = [[*extra_fields(value, one, root, path)] for one in options]
            yield from min(each, key=len, default=[])
    target = schema.get("$ref")
    if isinstance(target, str):
        yield from extra_fields(value, _target(target, root), root, path)
    if isinstance(value, list):
        first = schema.get("prefixItems", ())
        for at, one in enumerate(value):
            inner = first[at] if at < len(first) else schema.get("items")
            yield from extra_fields(one, inner, root, f"{path}[{at}]")
        return
    fields, others = schema.get("properties", {}), schema.get("additionalProperties")
    for name, one in value.items():
        where = f"{path}.{name}" if path else name
        if name not in fields and others is False:
            yield f"{where}: there is no such field{among(name, [*fields])}"
        else:
            yield from extra_fields(one, fields.get(name, others), root, where)


def _target(reference: str, root: Mapping[str, Any]) -> Any:
    found: Any = root
    for step in reference.removeprefix("#").split("/")[1:]:
        found = found.get(step) if isinstance(found, dict) else None
    return found

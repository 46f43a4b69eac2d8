"""What vLLM can hold a reply to, of all that a JSON schema can say.

Its grammar compiler passes over what it doesn't know (`not`, `uniqueItems`, `maximum` beside a
`$ref`), and the reply then breaks a promise that nobody took back. So what is known to be kept is
listed here; everything else is left out, and said.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from attrs import define, field, frozen

from chainlang.engines import patterns

_NOTES = {
    "$comment", "$defs", "$schema", "default", "definitions", "deprecated", "description",
    "examples", "title",
}  # fmt: skip
_ALONE = ("$ref", "anyOf", "enum", "const")  # a keyword beside one of these is passed over
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_KEPT = {
    "string": {"minLength", "maxLength", "pattern", "format"},
    "integer": _BOUNDS,
    "number": _BOUNDS,
    "boolean": set[str](),
    "null": set[str](),
    "array": {"items", "minItems", "maxItems", "prefixItems"},
    "object": {"properties", "required", "additionalProperties"},
}
_FORMATS = {"date", "date-time", "time", "uuid"}
_JSON = {
    str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null",
    list: "array", dict: "object",
}  # fmt: skip

# One character of a JSON string. The compiler's own rule for strings of bounded length lets control
# characters through, which JSON does not allow.
_CHARACTER = r'([^"\\\x00-\x1f]|\\["\\/bfnrt])'
_LONGEST = 1000  # characters or items that are counted; the compiler takes seconds for more


@frozen
class Kept:
    """A schema that vLLM enforces, as text, and what of the one that was asked for is not in it."""

    schema: str
    unkept: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def enforceable(schema: str, *, lenient: bool = False) -> Kept:
    """Return what vLLM enforces of a schema.

    Raises ValueError, in words for the reader, for what is no schema, and if not `lenient`, for one
    that vLLM would not keep as a whole.

    >>> enforceable('{"type": "integer", "maximum": 5}')
    Kept(schema='{"type": "integer", "maximum": 5}', unkept=())
    >>> enforceable('{"type": "array", "uniqueItems": true}', lenient=True)
    Kept(schema='{"type": "array"}', unkept=('"uniqueItems" (at #)',))
    >>> enforceable('{"type": "array", "uniqueItems": true}')
    Traceback (most recent call last):
        ...
    ValueError: vLLM can't hold a reply to "uniqueItems" (at #)
    """
    try:
        described = json.loads(schema)
        keeper = _Keeper(described)
        found = Kept(json.dumps(keeper.kept(described, "#")), tuple(keeper.unkept))
    except json.JSONDecodeError:
        raise ValueError("the schema is not JSON") from None
    except RecursionError:
        raise ValueError("the schema is nested too deeply") from None
    if found.unkept and not lenient:
        raise ValueError(f"vLLM can't hold a reply to {found.unkept[0]}")
    return found


@define
class _Keeper:
    root: Any
    unkept: list[str] = field(factory=list)

    def leave(self, what: str, at: str) -> None:
        """Leave something out, and say so."""
        self.unkept.append(f"{what} (at {at})")

    def kept(self, schema: Any, at: str) -> Any:
        """Return a schema without anything that would be passed over."""
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise ValueError(f"the schema is not an object (at {at})")
        schema = self.typed(self.merged(schema, at), at)
        said = schema.keys() - _NOTES
        alone = next((keyword for keyword in _ALONE if keyword in said), None)
        if alone is not None:
            allowed = {alone, "type"} if alone in {"enum", "const"} else {alone}
        else:
            allowed = {"type"}.union(*(_KEPT[one] for one in _types(schema)))
        for keyword in sorted(said - allowed):
            self.leave(f'"{keyword}"', at)
        schema = {key: one for key, one in schema.items() if key in allowed | _NOTES}
        schema = self.required(schema, at)
        return self.text({**schema, **dict(self.parts(schema, at))}, at)

    def merged(self, schema: dict[str, Any], at: str) -> dict[str, Any]:
        """Return a schema with ``oneOf`` as ``anyOf``, which the compiler makes of it anyway."""
        if "oneOf" in schema and "anyOf" not in schema:
            self.leave('"oneOf" as more than "anyOf"', at)
            schema = {**schema, "anyOf": schema["oneOf"]}
            del schema["oneOf"]
        return schema

    def typed(self, schema: dict[str, Any], at: str) -> dict[str, Any]:
        """Return a schema whose type JSON has, and does not contradict its values."""
        for name in _types(schema):
            if not isinstance(name, str) or name not in _KEPT:
                raise ValueError(f"the schema has a type that JSON has not: {name!r} (at {at})")
        for alone in ("enum", "const"):
            if alone not in schema or "type" not in schema:
                continue
            values = schema["enum"] if alone == "enum" else [schema["const"]]
            names = _types(schema)
            for value in values if isinstance(values, list) else ():
                kind = _JSON[type(value)]
                if kind not in names and not (kind == "integer" and "number" in names):
                    self.leave(f'"type" beside "{alone}"', at)  # the compiler looks at one of them
                    return {key: one for key, one in schema.items() if key != "type"}
        return schema

    def required(self, schema: dict[str, Any], at: str) -> dict[str, Any]:
        """Return a schema that describes what it requires, and refers to what there is."""
        target = schema.get("$ref")
        if target is not None and not _leads(self.root, target):
            raise ValueError(f"the schema refers to {target!r}, which is not in it (at {at})")
        missing = sorted(set(schema.get("required", ())) - set(schema.get("properties", {})))
        for name in missing:
            self.leave(f'"required" of "{name}", which is not described', at)
        if missing:
            rest = [one for one in schema["required"] if one not in missing]
            return {**schema, "required": rest}
        return schema

    def parts(self, schema: dict[str, Any], at: str) -> Iterator[tuple[str, Any]]:
        """Yield each keyword that holds schemas, with what is kept of those schemas."""
        for keyword in ("properties", "$defs", "definitions"):
            if keyword in schema:
                many = schema[keyword].items()
                yield keyword, {key: self.kept(one, f"{at}/{keyword}/{key}") for key, one in many}
        for keyword in ("items", "additionalProperties"):
            if keyword in schema:
                yield keyword, self.kept(schema[keyword], f"{at}/{keyword}")
        for keyword in ("anyOf", "prefixItems"):
            if keyword in schema:
                many = enumerate(schema[keyword])
                yield keyword, [self.kept(one, f"{at}/{keyword}/{index}") for index, one in many]

    def text(self, schema: dict[str, Any], at: str) -> dict[str, Any]:
        """Return a schema of a text with everything that is said of it as one pattern."""
        if schema.get("type") != "string":
            return self.counted(schema, ("minItems", "maxItems"), at)
        found = self.counted(schema, ("minLength", "maxLength"), at)
        low, high = found.pop("minLength", 0), found.pop("maxLength", "")
        bounded = {"pattern": f"^{_CHARACTER}{{{low},{high}}}$"} if low or high != "" else {}
        pattern = found.pop("pattern", None)
        named = found.pop("format", None)
        if pattern is not None:
            try:
                own = {"pattern": patterns.as_json(patterns.read(pattern))}
            except ValueError as error:
                self.leave(f'"pattern": {error}', at)
            else:
                if bounded:
                    self.leave('"minLength" or "maxLength" beside "pattern"', at)
                bounded = own
        if named is not None and (bounded or named not in _FORMATS):
            self.leave(f'"format": "{named}"', at)
        elif named is not None:
            bounded = {"format": named}
        return {**found, **bounded}

    def counted(self, schema: dict[str, Any], names: tuple[str, str], at: str) -> dict[str, Any]:
        """Return a schema without a bound that is too large to count to."""
        low, high = names
        if schema.get(low, 0) > schema.get(high, schema.get(low, 0)):
            raise ValueError(f'the schema has "{low}" above "{high}" (at {at})')
        found = dict(schema)
        for name in names:
            if found.get(name, 0) > _LONGEST:
                self.leave(f'"{name}" above {_LONGEST:,}', at)
                del found[name]
        return found


def _types(schema: dict[str, Any]) -> list[Any]:
    given = schema.get("type", [])
    return given if isinstance(given, list) else [given]


def _leads(root: Any, target: Any) -> bool:
    """Return whether a reference leads to something in a schema."""
    found = root
    for step in str(target).removeprefix("#").split("/")[1:]:
        if not isinstance(found, dict) or step not in found:
            return False
        found = found[step]
    return str(target).startswith("#")

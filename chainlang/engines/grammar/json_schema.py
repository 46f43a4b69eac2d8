"""What vLLM can hold a reply to, of all that a JSON schema can say.

Its grammar compiler passes over what it doesn't know (`not`, `uniqueItems`, `maximum` beside a
`$ref`), and the reply then breaks a promise that nobody took back. So what is known to be kept is
listed here; everything else is left out, and said.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from attrs import define, field, frozen

from chainlang.engines.grammar.automaton import LARGEST, rules
from chainlang.engines.grammar.regex import ANY, Characters, Part, Repeated, read

_NOTES = {
    "$comment", "$defs", "$schema", "default", "definitions", "deprecated", "description",
    "examples", "title",
}  # fmt: skip
_INSIDE = {"$defs", "definitions"}
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

_NOISE = re.compile(r"\[[0-9:]+\] \S+: ")  # time and source file of a message from C++
BLANKS = 2
"""Between the parts of a JSON text, at most: some models put them there until they are cut."""


@frozen
class Kept:
    """A schema that vLLM enforces, and what of the one that was asked for is not in it."""

    schema: str
    mark: str = ""
    """Its texts are constants, this word and a number, and stand for the rules of that number."""
    rules: tuple[str, ...] = ()
    """For each kind of text, without its first quote."""
    unkept: tuple[str, ...] = ()


@lru_cache(maxsize=1024)
def enforceable(schema: str, *, lenient: bool = False) -> Kept:
    """Return what vLLM enforces of a schema.

    Raises ValueError, in words for the reader, for what is no schema, and if not `lenient`, for one
    that vLLM would not keep as a whole.

    >>> enforceable('{"type": "integer", "maximum": 5}').schema
    '{"type": "integer", "maximum": 5}'
    >>> enforceable('{"type": "array", "uniqueItems": true}', lenient=True).unkept
    ('"uniqueItems" (at #)',)
    >>> enforceable('{"type": "array", "uniqueItems": true}')
    Traceback (most recent call last):
        ...
    ValueError: vLLM can't hold a reply to "uniqueItems" (at #)
    """
    try:
        described = json.loads(schema)
        keeper = _Keeper(described, _mark(schema))
        kept = json.dumps(keeper.kept(described, "#"))
        found = Kept(kept, keeper.mark, tuple(keeper.rules.values()), tuple(keeper.unkept))
    except json.JSONDecodeError:
        raise ValueError("the schema is not JSON") from None
    except RecursionError:
        raise ValueError("the schema is nested too deeply") from None
    if found.unkept and not lenient:
        raise ValueError(f"vLLM can't hold a reply to {found.unkept[0]}")
    return found


@lru_cache(maxsize=1024)
def grammar(kept: Kept) -> str:
    """Return what vLLM's compiler makes of a schema, with few blanks, and our rules for texts.

    Raises ValueError, in the words of the compiler, for what it can't compile.
    """
    import xgrammar

    try:
        written = str(xgrammar.Grammar.from_json_schema(kept.schema, max_whitespace_cnt=BLANKS))
    except RuntimeError as error:
        reason = _NOISE.sub("", str(error)).strip()
        raise ValueError(f"vLLM can't compile the schema: {reason}") from None
    # It writes "ße" as "\xdfe", and would read that as one character.
    written = _SHORT_CODE.sub(r"\1\\u00\2", written)
    for number in range(len(kept.rules)):
        name = f"{kept.mark}{number}"
        written = written.replace(f'"\\"{name}\\""', f'"\\"" {name}')
    return needed("\n".join([written, *kept.rules]))


def needed(grammar: str) -> str:
    """Return a grammar without the rules that nothing leads to: vLLM reads it for each request."""
    rules: dict[str, str] = {}
    for line in filter(None, grammar.splitlines()):
        name, sign, rule = line.partition(" ::= ")
        if not sign:
            raise ValueError(f"vLLM's grammar has a line that is no rule: {line!r}")
        rules[name] = rule
    names = re.compile("|".join(sorted(map(re.escape, rules), key=len, reverse=True)))
    reached = dict.fromkeys(todo := ["root"])
    for name in todo:
        for found in names.findall(rules[name]):
            if found not in reached:
                reached[found] = None
                todo.append(found)
    return "\n".join(f"{name} ::= {rules[name]}" for name in reached)


_SHORT_CODE = re.compile(r"(?<!\\)((?:\\\\)*)\\x([0-9a-fA-F]{2})")


def _mark(schema: str) -> str:
    """Return a word that is not in a schema."""
    mark = "text_"
    while mark in schema:
        mark += "_"
    return mark


@define
class _Keeper:
    root: Any
    mark: str
    """What the constants are called that stand for texts."""
    rules: dict[Part, str] = field(factory=dict)
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
        schema = {key: one for key, one in schema.items() if key in allowed | _INSIDE}
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
        """Return a schema with a constant for a text, after noting its rule."""
        if schema.get("type") != "string" or not schema.keys().isdisjoint(("enum", "const")):
            return self.ordered(schema, ("minItems", "maxItems"), at)
        self.ordered(schema, ("minLength", "maxLength"), at)
        pattern, named = schema.get("pattern"), schema.get("format")
        bounds = [name for name in ("minLength", "maxLength") if name in schema]
        if named in _FORMATS and pattern is None and not bounds:
            return {"type": "string", "format": named}
        number = None
        if pattern is not None:
            try:
                number = self.rule(read(pattern))
            except ValueError as error:
                self.leave(f'"pattern": {error}', at)
            else:
                for name in bounds:
                    self.leave(f'"{name}" beside "pattern"', at)
        if named is not None:
            self.leave(f'"format": "{named}"', at)
        if number is None:
            number = self.bounded(schema.get("minLength", 0), schema.get("maxLength"), at)
        return {"const": f"{self.mark}{number}"}

    def bounded(self, low: int, high: int | None, at: str) -> int:
        """Return the number of the rules of texts of such a length, as far as they can be kept."""
        if high is not None and high > LARGEST:
            self.leave(f'"maxLength" above {LARGEST}', at)
            high = None
        if low > LARGEST:
            self.leave(f'"minLength" above {LARGEST}', at)
            low = LARGEST
        return self.rule(Repeated(Characters(ANY), low, high))

    def rule(self, part: Part) -> int:
        """Return the number of the rules of a pattern. Raises ValueError."""
        if part not in self.rules:
            self.rules[part] = rules(part, f"{self.mark}{len(self.rules)}")
        return list(self.rules).index(part)

    def ordered(self, schema: dict[str, Any], names: tuple[str, str], at: str) -> dict[str, Any]:
        """Return a schema, if its bounds are in order. Raises ValueError."""
        low, high = (schema.get(name) for name in names)
        if low is not None and high is not None and low > high:
            raise ValueError(f'the schema has "{names[0]}" above "{names[1]}" (at {at})')
        return schema


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

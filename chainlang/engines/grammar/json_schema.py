"""The part of a JSON schema that vLLM enforces, and its grammar.

vLLM's grammar compiler (xgrammar) silently ignores keywords that it does not support (`not`,
`uniqueItems`, `maximum` beside a `$ref`). So the keywords that it is known to enforce are listed
here; all others are removed and reported.
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
_ALONE = ("$ref", "anyOf", "enum", "const")  # keywords beside one of these are ignored
_BOUNDS = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
_ENFORCED = {
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
"""Maximum number of blanks in one place of a JSON text. Without it, some models generate blanks
until `max_tokens`."""


@frozen
class EnforcedSchema:
    """The part of a schema that vLLM enforces."""

    schema: str
    """JSON schema in which a constant, `mark` and a number, stands for each kind of string."""
    mark: str = ""
    """Beginning of those constants."""
    rules: tuple[str, ...] = ()
    """Grammar rules of each kind of string, by its number; without the opening quote."""
    unkept: tuple[str, ...] = ()
    """Keywords of the original schema that are not enforced, each with its place."""


@lru_cache(maxsize=1024)
def enforceable(schema: str, *, lenient: bool = False) -> EnforcedSchema:
    """Return the part of a schema that vLLM enforces.

    Raises `ValueError` with the reason if the text is not a JSON schema, and, unless `lenient`, if
    a keyword is not enforced.

    >>> enforceable('{"type": "integer", "maximum": 5}').schema
    '{"type": "integer", "maximum": 5}'
    >>> enforceable('{"type": "array", "uniqueItems": true}', lenient=True).unkept
    ('"uniqueItems" (at #)',)
    >>> enforceable('{"type": "array", "uniqueItems": true}')
    Traceback (most recent call last):
        ...
    ValueError: vLLM can't enforce "uniqueItems" (at #)
    """
    try:
        document = json.loads(schema)
        reducer = _Reducer(document, _mark(schema))
        reduced = json.dumps(reducer.reduced(document, "#"))
        rules = tuple(reducer.rules.values())
        enforced = EnforcedSchema(reduced, reducer.mark, rules, tuple(reducer.unkept))
    except json.JSONDecodeError:
        raise ValueError("the schema is not JSON") from None
    except RecursionError:
        raise ValueError("the schema is nested too deeply") from None
    if enforced.unkept and not lenient:
        raise ValueError(f"vLLM can't enforce {enforced.unkept[0]}")
    return enforced


@lru_cache(maxsize=1024)
def grammar(enforced: EnforcedSchema) -> str:
    """Return the grammar of a schema: the compiler's rules, with ours for its strings.

    Raises `ValueError` with the compiler's message if it can't compile the schema.
    """
    import xgrammar

    try:
        written = str(xgrammar.Grammar.from_json_schema(enforced.schema, max_whitespace_cnt=BLANKS))
    except RuntimeError as error:
        reason = _NOISE.sub("", str(error)).strip()
        raise ValueError(f"vLLM can't compile the schema: {reason}") from None
    # xgrammar prints "ße" as "\xdfe", and would parse that as one character.
    written = _SHORT_CODE.sub(r"\1\\u00\2", written)
    for number in range(len(enforced.rules)):
        name = f"{enforced.mark}{number}"
        written = written.replace(f'"\\"{name}\\""', f'"\\"" {name}')
    return without_unused_rules("\n".join([written, *enforced.rules]))


def without_unused_rules(grammar: str) -> str:
    """Return a grammar without unreachable rules, since vLLM parses it for each request."""
    rules: dict[str, str] = {}
    for line in filter(None, grammar.splitlines()):
        name, sign, rule = line.partition(" ::= ")
        if not sign:
            raise ValueError(f"vLLM's grammar has a line that is not a rule: {line!r}")
        rules[name] = rule
    names = re.compile("|".join(sorted(map(re.escape, rules), key=len, reverse=True)))
    reached = dict.fromkeys(todo := ["root"])
    for name in todo:
        for used in names.findall(rules[name]):
            if used not in reached:
                reached[used] = None
                todo.append(used)
    return "\n".join(f"{name} ::= {rules[name]}" for name in reached)


_SHORT_CODE = re.compile(r"(?<!\\)((?:\\\\)*)\\x([0-9a-fA-F]{2})")


def _mark(schema: str) -> str:
    """Return a word that does not occur in a schema."""
    mark = "text_"
    while mark in schema:
        mark += "_"
    return mark


@define
class _Reducer:
    """Reduces a schema to the keywords that the compiler enforces."""

    root: Any
    mark: str
    """Beginning of the constants that stand for strings."""
    rules: dict[Part, str] = field(factory=dict)
    unkept: list[str] = field(factory=list)

    def report(self, what: str, at: str) -> None:
        """Note a keyword that is not enforced, and its place in the schema."""
        self.unkept.append(f"{what} (at {at})")

    def reduced(self, schema: Any, at: str) -> Any:
        """Return a schema without keywords that the compiler would ignore."""
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, dict):
            raise ValueError(f"the schema is not an object (at {at})")
        schema = self.typed(self.merged(schema, at), at)
        keywords = schema.keys() - _NOTES
        alone = next((keyword for keyword in _ALONE if keyword in keywords), None)
        if alone is not None:
            allowed = {alone, "type"} if alone in {"enum", "const"} else {alone}
        else:
            allowed = {"type"}.union(*(_ENFORCED[one] for one in _types(schema)))
        for keyword in sorted(keywords - allowed):
            self.report(f'"{keyword}"', at)
        schema = {key: one for key, one in schema.items() if key in allowed | _INSIDE}
        schema = self.required(schema, at)
        return self.text({**schema, **dict(self.parts(schema, at))}, at)

    def merged(self, schema: dict[str, Any], at: str) -> dict[str, Any]:
        """Return a schema with ``anyOf`` for ``oneOf``, since the compiler treats them alike."""
        if "oneOf" in schema and "anyOf" not in schema:
            self.report('"oneOf" as more than "anyOf"', at)
            schema = {**schema, "anyOf": schema["oneOf"]}
            del schema["oneOf"]
        return schema

    def typed(self, schema: dict[str, Any], at: str) -> dict[str, Any]:
        """Return a schema whose type does not contradict its values.

        Raises `ValueError` for an unknown type.
        """
        for name in _types(schema):
            if not isinstance(name, str) or name not in _ENFORCED:
                raise ValueError(f"the schema has an unknown type: {name!r} (at {at})")
        for alone in ("enum", "const"):
            if alone not in schema or "type" not in schema:
                continue
            values = schema["enum"] if alone == "enum" else [schema["const"]]
            names = _types(schema)
            for value in values if isinstance(values, list) else ():
                kind = _JSON[type(value)]
                if kind not in names and not (kind == "integer" and "number" in names):
                    self.report(f'"type" beside "{alone}"', at)  # the compiler uses one of them
                    return {key: one for key, one in schema.items() if key != "type"}
        return schema

    def required(self, schema: dict[str, Any], at: str) -> dict[str, Any]:
        """Return a schema without required properties that have no schema.

        Raises `ValueError` for a reference to a missing definition.
        """
        target = schema.get("$ref")
        if target is not None and not _leads(self.root, target):
            raise ValueError(f"the schema refers to {target!r}, which is not in it (at {at})")
        missing = sorted(set(schema.get("required", ())) - set(schema.get("properties", {})))
        for name in missing:
            self.report(f'"required" of "{name}", which has no schema', at)
        if missing:
            rest = [one for one in schema["required"] if one not in missing]
            return {**schema, "required": rest}
        return schema

    def parts(self, schema: dict[str, Any], at: str) -> Iterator[tuple[str, Any]]:
        """Yield each keyword that holds schemas, with those schemas reduced."""
        for keyword in ("properties", "$defs", "definitions"):
            if keyword in schema:
                many = schema[keyword].items()
                yield (
                    keyword,
                    {key: self.reduced(one, f"{at}/{keyword}/{key}") for key, one in many},
                )
        for keyword in ("items", "additionalProperties"):
            if keyword in schema:
                yield keyword, self.reduced(schema[keyword], f"{at}/{keyword}")
        for keyword in ("anyOf", "prefixItems"):
            if keyword in schema:
                many = enumerate(schema[keyword])
                yield keyword, [self.reduced(one, f"{at}/{keyword}/{index}") for index, one in many]

    def text(self, schema: dict[str, Any], at: str) -> dict[str, Any]:
        """Return a schema with a constant in place of a string, and add the string's rules."""
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
                self.report(f'"pattern": {error}', at)
            else:
                for name in bounds:
                    self.report(f'"{name}" beside "pattern"', at)
        if named is not None:
            self.report(f'"format": "{named}"', at)
        if number is None:
            number = self.bounded(schema.get("minLength", 0), schema.get("maxLength"), at)
        return {"const": f"{self.mark}{number}"}

    def bounded(self, low: int, high: int | None, at: str) -> int:
        """Return the number of the rules for strings of a length, reporting bounds too large."""
        if high is not None and high > LARGEST:
            self.report(f'"maxLength" above {LARGEST}', at)
            high = None
        if low > LARGEST:
            self.report(f'"minLength" above {LARGEST}', at)
            low = LARGEST
        return self.rule(Repeated(Characters(ANY), low, high))

    def rule(self, part: Part) -> int:
        """Return the number of the rules of an expression. Raises `ValueError`."""
        if part not in self.rules:
            self.rules[part] = rules(part, f"{self.mark}{len(self.rules)}")
        return list(self.rules).index(part)

    def ordered(self, schema: dict[str, Any], names: tuple[str, str], at: str) -> dict[str, Any]:
        """Return the schema itself. Raises `ValueError` if its lower bound is above its upper."""
        low, high = (schema.get(name) for name in names)
        if low is not None and high is not None and low > high:
            raise ValueError(f'the schema has "{names[0]}" above "{names[1]}" (at {at})')
        return schema


def _types(schema: dict[str, Any]) -> list[Any]:
    given = schema.get("type", [])
    return given if isinstance(given, list) else [given]


def _leads(root: Any, target: Any) -> bool:
    """Return whether a reference has a target in a schema."""
    node = root
    for step in str(target).removeprefix("#").split("/")[1:]:
        if not isinstance(node, dict) or step not in node:
            return False
        node = node[step]
    return str(target).startswith("#")

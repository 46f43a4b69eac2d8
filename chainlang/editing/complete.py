"""Completions: the names that may stand at a place of an unfinished text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal, TypeAlias

from attrs import frozen

from chainlang.analysis.check_file import MAIN
from chainlang.analysis.scope import Scope
from chainlang.editing.context import Context, context, part_labels
from chainlang.ir.builtins import (
    COMBINATORS,
    NAMED_TYPES,
    OP_SETTINGS,
    STAGE_TYPES,
    WORDS,
)
from chainlang.ir.declarations import (
    Definition,
    Field,
    Input,
    Item,
    Model,
    Op,
    Shape,
    Type,
    TypeDef,
    TypeName,
)
from chainlang.ir.model_settings import ENGINES
from chainlang.ir.nodes import Function, Named
from chainlang.ir.rules import PARTS, Rule
from chainlang.ir.tools import MCP, MODEL_ENGINES, OP_KINDS, TOOL_SETTINGS
from chainlang.ir.visit import walk
from chainlang.notation.unparse import unparse_type

Kind: TypeAlias = Literal[
    "combinator", "definition", "field", "function", "keyword", "model", "option", "stage",
    "type", "value",
]  # fmt: skip
MEANING: Mapping[str, str] = {
    "generate": "samples replies",
    "map": "reads each candidate",
    "fold": "reads all candidates",
    "code": "runs the program of each candidate",
    "tool": "calls a tool of a server",
}
"""Meanings of the kinds of stage types."""
_KEYWORDS: Mapping[str, str] = {
    "input": "the fields of a row",
    "model": "a name for a model and its engine",
    "op": "a stage type of this file",
    "server": "a name for a server of tools",
    "type": "a type of fields and replies",
    "use": "the declarations of another file",
}
_ANY_CANDIDATE = ("answer", "reasoning", "text")


@frozen
class Completion:
    """One text that may stand at a place."""

    text: str
    kind: Kind
    detail: str
    """Its meaning, in a few words."""
    start: int
    """Offset of the word that it replaces."""


def complete(
    text: str, offset: int, items: Iterable[Item] = (), functions: Iterable[str] = ()
) -> tuple[Completion, ...]:
    """Return what may stand at an offset of a chain or a file, filtered by the word before it.

    `items`: declarations that the text may use, its own included. `functions`: names of functions
    that are known beside those that the items call.

    >>> [one.text for one in complete("E(min_", 6)]
    ['min_p', 'min_tokens']
    """
    place = context(text, offset)
    word = text[place.start : offset].lstrip("$@").lower()
    found = {
        one.text: one
        for one in _offered(place, tuple(items), tuple(functions), text)
        if one.text.lstrip("$@").lower().startswith(word)
    }
    return tuple(found[name] for name in sorted(found, key=str.lower))


def _offered(
    place: Context, items: tuple[Item, ...], functions: tuple[str, ...], text: str
) -> Iterator[Completion]:
    match place.expected:
        case "nothing":
            return
        case "item":
            yield from _every(place, "keyword", _KEYWORDS)
            yield from _stages(place, items)
        case "stage":
            yield from _stages(place, items)
        case "argument":
            yield from _every(place, "option", _wants(_options(place.of, items)))
            if place.of in COMBINATORS:
                yield from _stages(place, items)
        case "definition":
            yield from _definitions(place, items)
        case "function":
            called = (
                node.name for one in items for node in walk(one) if isinstance(node, Function)
            )
            known = {f"@{name}": "a Python function" for name in (*functions, *called)}
            yield from _every(place, "function", known)
        case "model":
            yield from _every(place, "model", _models(items))
        case "value":
            yield from _every(place, "value", dict.fromkeys(_values(place.of, items, text), ""))
        case "field":
            yield from _every(place, "field", fields_of_prompts(items))
        case "attribute":
            yield from _every(place, "field", dict(_attributes(place.of, items)))
        case _:
            yield from _in_declaration(place, items)


def _in_declaration(place: Context, items: tuple[Item, ...]) -> Iterator[Completion]:
    match place.expected:
        case "engine":
            yield from _every(place, "value", dict.fromkeys(MODEL_ENGINES, "an engine"))
            yield from _every(place, "value", {MCP: "a server of tools"})
        case "engine setting":
            yield from _every(place, "option", _wants(ENGINES.get(place.of, {})))
        case "op setting":
            yield from _every(place, "option", _wants({**OP_SETTINGS, **TOOL_SETTINGS}))
        case "kind":
            yield from _every(place, "value", {one: MEANING[one] for one in OP_KINDS})
        case "type":
            yield from _every(place, "type", dict.fromkeys(NAMED_TYPES, "a built-in type"))
            forms = {"list": "list[str]", "dict": "dict[str]", "one": 'one("choices")'}
            yield from _every(place, "type", {name: f"as in {one}" for name, one in forms.items()})
            own = {one.name: one.description for one in items if isinstance(one, TypeDef)}
            yield from _every(place, "type", {name: what or "a type" for name, what in own.items()})


def _every(place: Context, kind: Kind, names: Mapping[str, str]) -> Iterator[Completion]:
    return (Completion(name, kind, detail, place.start) for name, detail in names.items())


def _stages(place: Context, items: tuple[Item, ...]) -> Iterator[Completion]:
    for name, one in Scope.of(items).types.items():
        means = MEANING.get(one.kind, "of a kind that there is not")  # while it is typed
        yield Completion(name, "stage", f"{one.what}: {means}", place.start)
    for name, call in COMBINATORS.items():
        yield Completion(name, "combinator", call.what, place.start)
    yield from _definitions(place, items)


def _definitions(place: Context, items: tuple[Item, ...]) -> Iterator[Completion]:
    for item in items:
        if isinstance(item, Definition) and item.name != MAIN:
            yield Completion(f"${item.name}", "definition", "a definition", place.start)


def _options(name: str, items: tuple[Item, ...]) -> Mapping[str, Rule]:
    if name in COMBINATORS:
        call = COMBINATORS[name]
        rules = dict.fromkeys((one.name for one in row_fields(items)), call.others)
        given = {name: rule for name, rule in rules.items() if rule is not None}
        return {**given, **call.options}
    aliases = {alias: one.name for one in STAGE_TYPES.values() for alias in one.aliases}
    found = Scope.of(items).types.get(aliases.get(name, name))
    return {} if found is None else found.options


def _wants(rules: Mapping[str, Rule]) -> dict[str, str]:
    return {name: rule.wants for name, rule in rules.items()}


def _models(items: tuple[Item, ...]) -> dict[str, str]:
    found = {one.name: f"{one.engine}({one.source})" for one in items if isinstance(one, Model)}
    return {**found, "tiny": "the model in the package"}


def _values(name: str, items: tuple[Item, ...], text: str) -> tuple[str, ...]:
    """Return the texts that the option or setting of a name takes, if there are only so many."""
    tables = [OP_SETTINGS, *(one.options for one in COMBINATORS.values())]
    tables += [one.options for one in Scope.of(items).types.values()]
    rule = next((table[name] for table in tables if name in table), None)
    if rule is None:
        return ()
    if rule is PARTS:
        known = {one.name for item in items for one in walk(item) if isinstance(one, Named)}
        return tuple(f'"{name}"' for name in sorted({*known, *part_labels(text)}))
    if rule.choices:
        return tuple(f'"{one}"' for one in rule.choices)
    return ("true", "false") if rule.python == "bool" else ()


def fields_of_prompts(items: Iterable[Item]) -> dict[str, str]:
    """Return the names that a prompt can read, with their meanings or types."""
    found = dict(WORDS)
    for item in items:
        for node in walk(item):
            if isinstance(node, Named):
                found[node.name] = "a named part"
    for one in row_fields(items):
        found[one.name] = "a field of the row" if one.type is None else unparse_type(one.type)
    return found


def row_fields(items: Iterable[Item]) -> tuple[Field, ...]:
    """Return the fields that `input` declares."""
    declared = tuple(items)
    kinds = (one.type for one in declared if isinstance(one, Input))
    return tuple(one for kind in kinds for one in _shape(kind, declared))


def _shape(kind: Type | None, items: tuple[Item, ...]) -> tuple[Field, ...]:
    if isinstance(kind, TypeName):
        types = {one.name: one.type for one in items if isinstance(one, TypeDef)}
        kind = types.get(kind.name)
    return kind.fields if isinstance(kind, Shape) else ()


def _attributes(name: str, items: tuple[Item, ...]) -> Iterator[tuple[str, str]]:
    """Yield the fields of a candidate, or of the field of a row of this name."""
    for one in row_fields(items):
        if one.name == name:
            yield from ((it.name, "a field") for it in _shape(one.type, items))
            return
    yield from ((one, "of every candidate") for one in _ANY_CANDIDATE)
    for op in items:
        if isinstance(op, Op):
            for one in _shape(op.returns, items):
                yield one.name, f"a field of {op.name}"

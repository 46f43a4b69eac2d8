"""Types that a row decides: a number of one of its candidates, one of the values of its list."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import evolve, frozen

from chainlang.datatypes.check_types import Declared, shape_of
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import article
from chainlang.ir import declarations
from chainlang.ir.nodes import Node
from chainlang.ir.visit import transform, walk
from chainlang.notation.unparse import unparse_type


class NoChoice(Exception):
    """Error for a value that is no list to choose from; the message is the reason."""


def row_choices(
    node: declarations.Type, types: Mapping[str, Declared]
) -> Iterator[declarations.RowChoice]:
    """Yield each `RowChoice` of a type, also of the named types inside it.

    >>> from chainlang.notation import parse_file
    >>> op = parse_file('op a : map -> { why: str, best: one("choices")? } {}').node.items[0]
    >>> [one.name for one in row_choices(op.returns, {})]
    ['choices']
    """
    pending, seen = [node], set[str]()
    while pending:
        for one in walk(pending.pop()):
            if isinstance(one, declarations.RowChoice):
                yield one
            elif isinstance(one, declarations.TypeName) and one.name not in seen:
                seen.add(one.name)
                declared = types.get(one.name)
                if isinstance(declared, declarations.TypeDef):
                    pending.append(declared.type)


def choices_in_input(
    node: declarations.Input, types: Mapping[str, Declared]
) -> Iterator[Diagnostic]:
    """Yield an error for each `RowChoice` in the type of a row, which is read before its lists."""
    for one in row_choices(node.type, types):
        message = f"{unparse_type(one)} is a type of replies, not of a row's fields"
        yield Diagnostic("type", message, one.span, "write str, or int")


@frozen(cache_hash=True)
class Decided:
    """The part of a type that a row decides. It is a key: equal ones make equal types."""

    candidates: int = 0
    """Number of candidates to choose from; 0 if the reply is not the number of one."""
    lists: tuple[tuple[str, str], ...] = ()
    """Lists of the row by name, as JSON, so that 1 and 1.0 differ."""

    def type(
        self, node: declarations.Type, types: Mapping[str, Declared], choose: str | None
    ) -> tuple[declarations.Type, Mapping[str, Declared]]:
        """Return a type for this row, and the types that it names.

        `choose` is the field with the number of a candidate.

        >>> choice = declarations.RowChoice("choices")
        >>> Decided(0, (("choices", '["a", "b"]'),)).type(choice, {}, None)[0].options
        (Constant(value='a'), Constant(value='b'))
        """
        if choose is not None:
            node = _numbered(node, types, choose, self.candidates)
        if not self.lists:
            return node, types
        values = {name: _one_of(json.loads(text)) for name, text in self.lists}

        def change(one: Node) -> Node:
            if isinstance(one, declarations.RowChoice):
                return values[one.name]
            if isinstance(one, declarations.OneOf):
                return _flat(one.options)
            return one

        named = {name: transform(one, change) for name, one in types.items()}
        return transform(node, change), named


def values_of(name: str, value: object) -> str:
    """Return the list of a row that a reply is one of, as JSON. Raises `NoChoice`.

    >>> values_of("choices", ["yes", "no"]), values_of("ratings", (1, 2.5))
    ('["yes", "no"]', '[1, 2.5]')
    """
    if not isinstance(value, list | tuple):
        raise NoChoice(f"{name} is {_kind(value)}, not a list")
    if not value:
        raise NoChoice(f"{name} is empty")
    seen: dict[Any, int] = {}
    for number, one in enumerate(value):
        if isinstance(one, bool) or not isinstance(one, str | int | float):
            raise NoChoice(f"{name}[{number}] is {_kind(one)}, not a text or a number")
        if one in seen:
            raise NoChoice(f"{name}[{number}] repeats {name}[{seen[one]}]: {json.dumps(one)[:60]}")
        seen[one] = number
    return json.dumps(list(value))


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "a text"
        case int() | float():
            return "a number"
        case Mapping():
            return "an object"
        case list() | tuple():
            return "a list"
    return article(type(value).__name__)


def _one_of(values: list[Any]) -> declarations.Type:
    constants = tuple(declarations.Constant(one) for one in values)
    return constants[0] if len(constants) == 1 else declarations.OneOf(constants)


def _flat(options: tuple[declarations.Type, ...]) -> declarations.Type:
    """Return a union without unions in it, and without repeats."""
    found: dict[declarations.Type, None] = {}
    for one in options:
        found |= dict.fromkeys(one.options if isinstance(one, declarations.OneOf) else (one,))
    flat = tuple(found)
    return flat[0] if len(flat) == 1 else declarations.OneOf(flat)


def _numbered(
    node: declarations.Type, types: Mapping[str, Declared], choose: str, candidates: int
) -> declarations.Type:
    """Return the type of a reply whose field `choose` is the number of one of the candidates."""
    shape = shape_of(node, types)
    assert shape is not None  # checked
    number = declarations.TypeName("int", 1, candidates)
    fields = (evolve(one, type=number) if one.name == choose else one for one in shape.fields)
    return evolve(shape, fields=tuple(fields))

"""Conversion of parse trees to types and to the items that declare them."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from chainlang.diagnostics.source import Span
from chainlang.ir import declarations
from chainlang.ir.verify import is_name
from chainlang.notation.expressions import Reader
from chainlang.notation.literals import WORDS, print_literal
from chainlang.notation.values import edges


def name_of(reader: Reader, token: Any, what: str) -> str:
    """Return the name in a token; diagnose an invalid one. `what` is used in the message."""
    return reader.name(str(token), reader.span(token), what)


def spanned(reader: Reader, tree: Any, name: Any = None) -> Span:
    """Return the span of an item, with its part ``name``: the span of its name."""
    start, end = edges(tree)
    parts = (("name", reader.span(name)),) if name is not None else ()
    return Span(reader.source, start, end, parts)


def unique(reader: Reader, nodes: tuple[Any, ...], what: str) -> None:
    """Diagnose each node that has the name of an earlier one."""
    seen: set[str] = set()
    for node in nodes:
        if node.name in seen:
            reader.note("duplicate-name", f"duplicate {what} '{node.name}'", node.span.part("name"))
        seen.add(node.name)


# ---------------------------------------------------------------- items


EXACT = "exact"
"""Name before the fields of an input that refuses others; it is no keyword."""


def read_input(reader: Reader, tree: Any) -> declarations.Input:
    """Convert ``input { ... }`` or ``input Name``, with ``exact`` before either."""
    _, *rest = tree.children
    exact = tree.data.startswith("input_exact")
    if exact and str(rest[0]) != EXACT:
        hint = f"write `input {{ ... }}`, or `input {EXACT} {{ ... }}` to refuse other fields"
        reader.note("syntax", f"unexpected '{rest[0]}' after input", reader.span(rest[0]), hint)
    kind: declarations.Shape | declarations.TypeName
    if tree.data in ("input", "input_exact"):
        kind = _shape(reader, tree.children)
    else:
        token = rest[-1]
        kind = declarations.TypeName(name_of(reader, token, "a type"), span=reader.span(token))
    return declarations.Input(kind, exact, span=spanned(reader, tree))


def read_type_item(reader: Reader, tree: Any) -> declarations.TypeDef:
    """Convert ``type Name { ... }`` or ``type Name = ...``."""
    if tree.data == "type_label":
        _, label, kind = tree.children
        name, where = reader.label(label)
        start, end = edges(tree)
        span = Span(reader.source, start, end, (("name", where),))
        return declarations.TypeDef(
            reader.name(name, where, "a type"), read_type(reader, kind), span=span
        )
    _, token, said, *rest = tree.children
    kind = read_type(reader, rest[-1]) if tree.data == "type_alias" else _shape(reader, rest)
    name = name_of(reader, token, "a type")
    described = _text(reader, said)
    return declarations.TypeDef(name, kind, described, span=spanned(reader, tree, token))


def read_python_type(reader: Reader, tree: Any) -> declarations.PythonType:
    """Convert ``type @Name "..."``."""
    _, token, schema = tree.children
    where = Span(reader.source, token.start_pos + 1, token.end_pos)
    start, end = edges(tree)
    span = Span(reader.source, start, end, (("name", where), ("schema", reader.span(schema))))
    text = reader.string(str(schema), schema.start_pos)
    return declarations.PythonType(reader.name(str(token)[1:], where, "a type"), text, span=span)


def _text(reader: Reader, token: Any) -> str | None:
    return None if token is None else reader.string(str(token), token.start_pos)


# ---------------------------------------------------------------- fields


def _shape(reader: Reader, children: list[Any]) -> declarations.Shape:
    """Return the shape of the last three children: two braces and the fields between them."""
    left, fields, right = children[-3:]
    found = tuple(_field(reader, child) for child in fields.children if hasattr(child, "data"))
    unique(reader, found, "field")
    return declarations.Shape(found, span=reader.span(left, right))


def _field(reader: Reader, tree: Any) -> declarations.Field:
    start, end = edges(tree)
    if tree.data == "derived_field":
        label, value = tree.children
        name, where = reader.label(label)
        return declarations.Field(
            reader.name(name, where, "a field"),
            None,
            _default(reader, value),
            span=Span(reader.source, start, end, (("name", where),)),
        )
    column, _, token, said, _, kind, _, value = tree.children
    parts = [("name", reader.span(token))]
    if column is not None and not _text(reader, column):
        reader.note("type", "the name of the column is empty", reader.span(column))
        column = None
    elif column is not None:
        parts.append(("column", reader.span(column)))
    return declarations.Field(
        name_of(reader, token, "a field"),
        read_type(reader, kind),
        None if value is None else _default(reader, value),
        _text(reader, said),
        _text(reader, column),
        span=Span(reader.source, start, end, tuple(parts)),
    )


def _default(reader: Reader, tree: Any) -> declarations.Default:
    literal, where = reader.literal(tree)
    return declarations.Default(literal, span=where)


# ---------------------------------------------------------------- types


def read_type(reader: Reader, tree: Any) -> declarations.Type:
    """Return the type of a parse tree. Raises `LimitError` if it is too deep."""
    reader.enter("type", tree)
    node = _any_type(reader, tree)
    reader.leave()
    return node


def _any_type(reader: Reader, tree: Any) -> declarations.Type:
    span = spanned(reader, tree)
    children = tree.children
    if tree.data == "union":
        options: list[declarations.Type] = []
        for child in children[::2]:
            option = read_type(reader, child)
            options.extend(option.options if isinstance(option, declarations.OneOf) else (option,))
        return declarations.OneOf(tuple(options), span=span)
    if tree.data == "maybe":
        inner = read_type(reader, children[0])
        return (
            inner if isinstance(inner, declarations.Maybe) else declarations.Maybe(inner, span=span)
        )
    if tree.data == "type_group":
        return read_type(reader, children[1])
    if tree.data == "constant":
        return _constant(reader, children[0], span)
    if tree.data == "shape":
        return _shape(reader, children)
    if tree.data == "list_of":
        return _list(reader, tree, span)
    name, _, bounds, _ = children
    if str(name) in WORDS and bounds is None:
        return _word(reader, name, span)
    if str(name) == ROW_CHOICE:
        return _row_choice(reader, bounds, span)
    low, high, pattern = _bounds(reader, bounds)
    if pattern is not None:
        span = Span(
            reader.source, span.start, span.end, (("pattern", reader.span(bounds.children[-1])),)
        )
    return declarations.TypeName(name_of(reader, name, "a type"), low, high, pattern, span=span)


def _constant(reader: Reader, token: Any, span: Span) -> declarations.Constant:
    if token.type == "STRING":
        return declarations.Constant(reader.string(str(token), span.start), span=span)
    value = reader.number(str(token), span)
    if isinstance(value, int):
        return declarations.Constant(value, span=span)
    reader.note(
        "type",
        "a number with a fraction is not allowed among several values",
        span,
        "write a text or a whole number, or float with bounds",
    )
    return declarations.Constant(0, span=span)


def _word(reader: Reader, name: Any, span: Span) -> declarations.Type:
    value = WORDS[str(name)]
    if isinstance(value, bool):
        return declarations.Constant(value, span=span)
    reader.note(
        "type", f"'{name}' is a value, not a type", span, "for a value that may be null, write str?"
    )
    return declarations.TypeName("str", span=span)


ROW_CHOICE = "one"
"""Word before the name of a list in the row, in parentheses."""


def _row_choice(reader: Reader, bounds: Any, span: Span) -> declarations.RowChoice:
    given = [] if bounds is None else bounds.children
    token = given[0] if len(given) == 1 and given[0].type == "STRING" else None
    if token is None:
        where, hint = span if bounds is None else _whole(reader, bounds), 'write one("choices")'
        reader.note("type", "'one' takes the name of a list in the row, as a text", where, hint)
        return declarations.RowChoice("choices", span=span)
    where = reader.span(token)
    name = reader.string(str(token), token.start_pos)
    if not is_name(name):
        hint = f"give the column a name: input {{ {print_literal(name)} as choices: list[str] }}"
        reader.note("type", f"{print_literal(name)} is not the name of a field", where, hint)
        name = "choices"
    return declarations.RowChoice(name, span=evolve(span, parts=(("name", where),)))


def _list(reader: Reader, tree: Any, span: Span) -> declarations.ListOf | declarations.DictOf:
    word, _, item, _, _, bounds, _ = tree.children
    if word == "dict":
        if bounds is not None:
            reader.note("type", "'dict' takes no bounds", _whole(reader, bounds))
        return declarations.DictOf(read_type(reader, item), span=span)
    if word != "list":
        where, hint = reader.span(word), "write list[...] or dict[...]"
        if word == "Optional":
            hint = "for a value that may be null, write a ? behind its type: str?"
        reader.note("type", f"unexpected type in brackets after '{word}'", where, hint)
    low, high, pattern = _bounds(reader, bounds)
    if bounds is not None:
        span = Span(reader.source, span.start, span.end, (("bounds", _whole(reader, bounds)),))
    where = span.part("bounds")
    if pattern is not None:
        reader.note("type", "a list has no pattern", where, 'write it inside: list[str(r"...")]')
    if any(isinstance(end, float) or (end is not None and end < 0) for end in (low, high)):
        hint = "a length is a whole number of at least 0"
        reader.note("type", "the bounds of a list are lengths", where, hint)
        low = high = None
    return declarations.ListOf(read_type(reader, item), low, high, span=span)  # type: ignore[arg-type]


def _whole(reader: Reader, tree: Any) -> Span:
    return Span(reader.source, *edges(tree))


def _bounds(reader: Reader, tree: Any) -> tuple[int | float | None, int | float | None, str | None]:
    """Return the bounds and the pattern in the parentheses after a type."""
    if tree is None:
        return None, None, None
    first, *rest = tree.children
    if first.type == "STRING":
        return None, None, reader.string(str(first), first.start_pos)
    where = reader.span(first)
    left, right = str(first).split("..", 1)
    low = reader.number(left, where) if left.strip("-") else None
    high = reader.number(right, where) if right.strip("-") else None
    if low is None and high is None:
        reader.note("type", "a range needs a bound", where, "write 1..5, 1.. or ..5")
    return low, high, _text(reader, rest[-1])

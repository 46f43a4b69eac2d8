"""Parse tree -> the items of a file: declarations, types, settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainlang.ir import items
from chainlang.notation.expressions import Reader
from chainlang.notation.literals import WORDS
from chainlang.notation.values import edges
from chainlang.spans import Span


def read_file(reader: Reader, tree: Any) -> items.File:
    """Return the file node of a parse tree; findings are left in the reader."""
    found = tuple(_ITEMS[child.data](reader, child) for child in tree.children)
    return items.File(found, span=Span(reader.source, 0, len(reader.source.text)))


def _name(reader: Reader, token: Any, what: str) -> str:
    return reader.name(str(token), reader.span(token), what)


def _spanned(reader: Reader, tree: Any, name: Any = None) -> Span:
    """Return the span of a whole item; its part ``name`` is where its name stands."""
    start, end = edges(tree)
    parts = (("name", reader.span(name)),) if name is not None else ()
    return Span(reader.source, start, end, parts)


def _use(reader: Reader, tree: Any) -> items.Use:
    token = tree.children[1]
    span = reader.span(token)
    path = reader.string(str(token), span.start)
    if not path:
        reader.note("file", "this path is empty", span)
        path = "."
    return items.Use(path, span=_spanned(reader, tree, token))


def _definition(reader: Reader, tree: Any) -> items.Definition:
    label, body = tree.children
    name, span = reader.label(label)
    node = reader.expression(body)
    _, end = edges(body)
    whole = Span(reader.source, span.start, end, (("name", span),))
    return items.Definition(reader.name(name, span, "a definition"), node, span=whole)


def _model(reader: Reader, tree: Any) -> items.Model:
    _, label, engine, _, source, *rest = tree.children
    name, span = reader.label(label)
    settings = tuple(_setting(reader, child) for child in rest if hasattr(child, "data"))
    _unique(reader, settings, "setting")
    start, end = edges(tree)
    parts = (("name", span), ("engine", reader.span(engine)), ("source", reader.span(source)))
    return items.Model(
        reader.name(name, span, "a model"),
        _name(reader, engine, "an engine"),
        reader.string(str(source), source.start_pos),
        settings,
        span=Span(reader.source, start, end, parts),
    )


def _setting(reader: Reader, tree: Any) -> items.Setting:
    label, value = tree.children
    name, span = reader.label(label)
    start, end = edges(tree)
    vs, ve = edges(value)
    parts = (("name", span), ("value", Span(reader.source, vs, ve)))
    whole = Span(reader.source, start, end, parts)
    if value.data == "environment":
        function, _, token, _ = value.children
        if function != "env":
            reader.note(
                "argument",
                f"'{function}' can't be called here",
                reader.span(function),
                'the only call in a setting is env("NAME")',
            )
        variable = reader.string(str(token), token.start_pos)
        if not variable:
            reader.note("argument", "this variable has no name", reader.span(token))
            variable = "_"
        inner = Span(reader.source, vs, ve)
        return items.Setting(
            reader.name(name, span), items.Environment(variable, span=inner), span=whole
        )
    word = value.children[0] if value.data == "word" else None
    if name == "model" and word is not None and word not in WORDS:  # names a model of this file
        return items.Setting(name, str(value.children[0]), span=whole)
    literal, _ = reader.literal(value)
    return items.Setting(reader.name(name, span, "a setting"), literal, span=whole)


def _op(reader: Reader, tree: Any) -> items.Op:
    _, name, _, kind, _, returns, _, *settings = tree.children
    found = tuple(_setting(reader, child) for child in settings if hasattr(child, "data"))
    _unique(reader, found, "setting")
    start, end = edges(tree)
    parts = (("name", reader.span(name)), ("kind", reader.span(kind)))
    return items.Op(
        _name(reader, name, "a type of stage"),
        _name(reader, kind, "a kind"),
        None if returns is None else _type(reader, returns),
        found,
        span=Span(reader.source, start, end, parts),
    )


def _input(reader: Reader, tree: Any) -> items.Input:
    return items.Input(_fields(reader, tree.children[2]), span=_spanned(reader, tree))


def _typedef(reader: Reader, tree: Any) -> items.TypeDef:
    name = tree.children[1]
    return items.TypeDef(
        _name(reader, name, "a type"),
        _fields(reader, tree.children[3]),
        span=_spanned(reader, tree, name),
    )


def _fields(reader: Reader, tree: Any) -> tuple[items.Field, ...]:
    found = tuple(_field(reader, child) for child in tree.children if hasattr(child, "data"))
    _unique(reader, found, "field")
    return found


def _field(reader: Reader, tree: Any) -> items.Field:
    start, end = edges(tree)
    if tree.data == "derived_field":
        label, value = tree.children
        name, span = reader.label(label)
        literal, where = reader.literal(value)
        return items.Field(
            reader.name(name, span, "a field"),
            None,
            items.Default(literal, span=where),
            span=Span(reader.source, start, end, (("name", span),)),
        )
    token, _, kind, _, value = tree.children
    default = None
    if value is not None:
        literal, where = reader.literal(value)
        default = items.Default(literal, span=where)
    span = Span(reader.source, start, end, (("name", reader.span(token)),))
    return items.Field(_name(reader, token, "a field"), _type(reader, kind), default, span=span)


def _type(reader: Reader, tree: Any) -> items.Type:
    reader.enter("type", tree)
    node = _any_type(reader, tree)
    reader.leave()
    return node


def _any_type(reader: Reader, tree: Any) -> items.Type:
    span = _spanned(reader, tree)
    children = tree.children
    if tree.data == "union":
        options: list[items.Type] = []
        for child in children[::2]:
            option = _type(reader, child)
            options.extend(option.options if isinstance(option, items.OneOf) else (option,))
        return items.OneOf(tuple(options), span=span)
    if tree.data == "maybe":
        return items.Maybe(_type(reader, children[0]), span=span)
    if tree.data == "constant":
        return items.Constant(reader.string(str(children[0]), span.start), span=span)
    if tree.data == "shape":
        return items.Shape(_fields(reader, children[1]), span=span)
    if tree.data == "list_of":
        if children[0] != "list":
            where = reader.span(children[0])
            reader.note(
                "type", f"'{children[0]}' takes no type in brackets", where, "write list[...]"
            )
        return items.ListOf(_type(reader, children[2]), span=span)
    name, _, bounds, _ = children
    low = high = None
    if bounds is not None:
        where = reader.span(bounds)
        left, right = str(bounds).split("..", 1)
        low = reader.number(left, where) if left.strip("-") else None
        high = reader.number(right, where) if right.strip("-") else None
        if low is None and high is None:
            reader.note("type", "this range has no bounds", where, "write 1..5, 1.. or ..5")
    return items.TypeName(_name(reader, name, "a type"), low, high, span=span)


def _unique(reader: Reader, nodes: tuple[Any, ...], what: str) -> None:
    seen: set[str] = set()
    for node in nodes:
        if node.name in seen:
            reader.note(
                "duplicate-name", f"the {what} '{node.name}' stands twice", node.span.part("name")
            )
        seen.add(node.name)


_ITEMS: dict[str, Callable[[Reader, Any], items.Item]] = {
    "use": _use,
    "model": _model,
    "input": _input,
    "type": _typedef,
    "op": _op,
    "definition": _definition,
}

"""Conversion of parse trees to the items of a file: declarations, types, settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainlang.diagnostics.source import Span
from chainlang.ir import declarations
from chainlang.ir.nodes import Table
from chainlang.ir.tables import is_plain
from chainlang.ir.tools import MCP, SERVER
from chainlang.notation.expressions import Reader
from chainlang.notation.literals import WORDS
from chainlang.notation.types import (
    name_of,
    read_input,
    read_python_type,
    read_type,
    read_type_item,
    spanned,
    unique,
)
from chainlang.notation.values import edges


def read_file(reader: Reader, tree: Any) -> declarations.File:
    """Return the file node of a parse tree; the reader collects diagnostics."""
    found = tuple(_ITEMS[child.data](reader, child) for child in tree.children)
    return declarations.File(found, span=Span(reader.source, 0, len(reader.source.text)))


def _use(reader: Reader, tree: Any) -> declarations.Use:
    token = tree.children[1]
    span = reader.span(token)
    path = reader.string(str(token), span.start)
    if not path:
        reader.note("file", "the path is empty", span)
        path = "."
    return declarations.Use(path, span=spanned(reader, tree, token))


def _definition(reader: Reader, tree: Any) -> declarations.Definition:
    label, body = tree.children
    name, span = reader.label(label)
    node = reader.expression(body)
    _, end = edges(body)
    whole = Span(reader.source, span.start, end, (("name", span),))
    return declarations.Definition(reader.name(name, span, "a definition"), node, span=whole)


def _model(reader: Reader, tree: Any) -> declarations.Model:
    _, label, engine, _, source, *rest = tree.children
    name, span = reader.label(label)
    settings = tuple(_setting(reader, child) for child in rest if hasattr(child, "data"))
    unique(reader, settings, "setting")
    if (is_server := tree.data == SERVER) != (engine == MCP):
        message = f"{engine}() is no server of tools" if is_server else "mcp() is no model"
        hint = f'write {"model" if is_server else SERVER} {name} = {engine}("...")'
        reader.note("argument", message, reader.span(engine), hint)
    start, end = edges(tree)
    parts = (("name", span), ("engine", reader.span(engine)), ("source", reader.span(source)))
    return declarations.Model(
        reader.name(name, span, "a model"),
        name_of(reader, engine, "an engine"),
        reader.string(str(source), source.start_pos),
        settings,
        span=Span(reader.source, start, end, parts),
    )


def _setting(reader: Reader, tree: Any) -> declarations.Setting:
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
                f"unexpected call of '{function}'",
                reader.span(function),
                'the only call in a setting is env("NAME")',
            )
        variable = reader.string(str(token), token.start_pos)
        if not variable:
            reader.note("argument", "the name of the variable is empty", reader.span(token))
            variable = "_"
        inner = Span(reader.source, vs, ve)
        return declarations.Setting(
            reader.name(name, span), declarations.Environment(variable, span=inner), span=whole
        )
    word = value.children[0] if value.data == "word" else None
    if name in ("model", SERVER) and word is not None and word not in WORDS:  # of this file
        return declarations.Setting(name, str(value.children[0]), span=whole)
    if value.data == "table":
        table, _ = reader.value(value)
        if not (isinstance(table, Table) and is_plain(table)):
            message = f"{name} holds values, and this table has a chain"
            reader.note("argument", message, parts[1][1], "quote the texts in it")
            table = None
        return declarations.Setting(reader.name(name, span, "a setting"), table, span=whole)
    literal, _ = reader.literal(value)
    return declarations.Setting(reader.name(name, span, "a setting"), literal, span=whole)


def _op(reader: Reader, tree: Any) -> declarations.Op:
    _, name, _, kind, _, returns, _, *settings = tree.children
    found = tuple(_setting(reader, child) for child in settings if hasattr(child, "data"))
    unique(reader, found, "setting")
    start, end = edges(tree)
    parts = (("name", reader.span(name)), ("kind", reader.span(kind)))
    return declarations.Op(
        name_of(reader, name, "a stage type"),
        name_of(reader, kind, "a kind"),
        None if returns is None else read_type(reader, returns),
        found,
        span=Span(reader.source, start, end, parts),
    )


_ITEMS: dict[str, Callable[[Reader, Any], declarations.Item]] = {
    "use": _use,
    "model": _model,
    SERVER: _model,
    "input": read_input,
    "input_name": read_input,
    "input_exact": read_input,
    "input_exact_name": read_input,
    "type_shape": read_type_item,
    "type_label": read_type_item,
    "type_alias": read_type_item,
    "type_python": read_python_type,
    "op": _op,
    "definition": _definition,
}

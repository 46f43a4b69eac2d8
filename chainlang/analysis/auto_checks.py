"""Checks of the values that a model decides, before it has decided them."""

from __future__ import annotations

from collections.abc import Iterator

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import part_span
from chainlang.ir.auto import Auto
from chainlang.ir.nodes import Option
from chainlang.ir.row_settings import ROW_SETTINGS
from chainlang.ir.rules import Rule
from chainlang.semantics.auto_formats import declared_type, type_of_option


def auto_faults(option: Option, auto: Auto, rule: Rule) -> Iterator[Diagnostic]:
    """Yield the errors of a value to be decided: where it stands, its type, and its words."""
    name, where = option.name, part_span(option.span, "value")
    if auto.type is not None and declared_type(auto.type) is None:
        message = f"auto() has no type {auto.type!r}"
        hint = """write a type: "int(1..5)", "bool", "list[str]", or texts: '"short" | "long"'"""
        yield Diagnostic("type", message, where, hint)
    known = type_of_option(name) is not None or name in ROW_SETTINGS
    if not (known or rule.is_template or name == "by"):
        message = f"auto() can't give {name}=: expected {rule.wants}"
        yield Diagnostic("option", message, where, "write the value")
    if auto.reads_row and name not in ROW_SETTINGS:
        message = f"auto() gives {name}= before the first row, so its words can't read the row"
        hint = (
            "what depends on the row is decided in the row: write an op, and read its answer,\n"
            'as in E(temperature="{{ heat.answer }}")'
        )
        yield Diagnostic("template", message, where, hint)

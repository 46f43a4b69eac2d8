"""Checks of single settings of an op against its kind, its type and its other settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chainlang.analysis.option_values import spoken
from chainlang.datatypes.check_types import Declared, shape_of
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import part_span
from chainlang.diagnostics.suggest import suggest
from chainlang.ir.declarations import Op, Setting, TypeName


def continues_faults(op: Op, given: Mapping[str, Setting]) -> Iterator[Diagnostic]:
    """Yield the errors of a `continues` without a candidate, or with other messages before."""
    if "continues" not in given:
        return
    if op.kind != "map":
        message = f"continues is a setting of map, and this op is a {op.kind}"
        where = part_span(given["continues"].span, "name")
        hint = "a map reads one candidate, whose conversation it continues"
        yield Diagnostic("option", message, where, hint)
    for name in ("messages", "examples"):
        if name in given and given["continues"].value is True:
            message = f"{name} and continues: each says what comes before the user message"
            where = part_span(given[name].span, "name")
            yield Diagnostic("option", message, where, "leave one of them out")


def choose_faults(op: Op, setting: Setting, types: Mapping[str, Declared]) -> Iterator[Diagnostic]:
    """Yield the error of a `choose` that is not an integer field of the op's type."""
    shape = None if op.returns is None else shape_of(op.returns, types)
    fields = {one.name: one for one in shape.fields} if shape is not None else {}
    where = part_span(setting.span, "value")
    if op.kind != "fold":
        message = f"choose is a setting of fold, and this op is a {op.kind}"
        yield Diagnostic("option", message, part_span(setting.span, "name"))
    elif setting.value not in fields:
        hint = suggest(str(setting.value), fields) or "declare what it returns: -> { ... }"
        what = f"unknown field {spoken(setting.value)} of the type that '{op.name}' returns"
        yield Diagnostic("option", what, where, hint)
    elif fields[str(setting.value)].type != TypeName("int"):
        message = f"the field '{setting.value}' of choose is not an int"
        yield Diagnostic("option", message, where, f"write {setting.value}: int")

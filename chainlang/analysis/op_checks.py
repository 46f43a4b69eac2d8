"""Checks of single settings of an op against its kind, its type and its other settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chainlang.analysis.check_templates import template_fault
from chainlang.analysis.option_values import spoken
from chainlang.datatypes.check_types import Declared, shape_of, type_faults
from chainlang.datatypes.free_texts import free_texts
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import part_span
from chainlang.diagnostics.suggest import suggest
from chainlang.ir.builtins import DESCRIBE, FIELDS, OP_SETTINGS, TEMPLATES, UNDESCRIBED
from chainlang.ir.declarations import Op, Setting, TypeDef, TypeName, is_typed
from chainlang.ir.nodes import Table
from chainlang.notation.literals import at_literal
from chainlang.semantics.prompts import variables


def setting_faults(
    op: Op, given: Mapping[str, Setting], types: Mapping[str, Declared]
) -> Iterator[Diagnostic]:
    """Yield the errors of settings that do not go with the kind, the type or the others."""
    yield from fresh_faults(op, given)
    yield from continues_faults(op, given)
    yield from rounds_faults(given)
    yield from budget_faults(op, given, types)
    yield from describe_faults(op, given)
    yield from prompt_faults(op, given)


def fresh_faults(op: Op, given: Mapping[str, Setting]) -> Iterator[Diagnostic]:
    """Yield the error of a `fresh` of an op that reads candidates by its kind."""
    if "fresh" in given and op.kind != "generate":
        message = f"fresh is an option of generate, and this op is a {op.kind}"
        yield Diagnostic("option", message, given["fresh"].span)


def prompt_faults(op: Op, given: Mapping[str, Setting]) -> Iterator[Diagnostic]:
    """Yield the errors of a `prefix` before a type, and of templates that can't be read."""
    if op.returns is not None and "prefix" in given:
        hint = "leave it out, or what the op returns: a type has its own beginning"
        where = part_span(given["prefix"].span, "name")
        yield Diagnostic("option", "prefix begins the text of a reply without a type", where, hint)
    for name in TEMPLATES:  # of the others, their rules have checked the syntax
        if OP_SETTINGS[name].is_template or name not in given:
            continue
        text = given[name].value
        if isinstance(text, str) and (fault := template_fault(text)) is not None:
            yield at_literal(fault, part_span(given[name].span, "value"))


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


def rounds_faults(given: Mapping[str, Setting]) -> Iterator[Diagnostic]:
    """Yield the error of a `tool_rounds` without tools."""
    if "tool_rounds" in given and "tools" not in given:
        message = "tool_rounds has no effect: this op has no tools"
        where = part_span(given["tool_rounds"].span, "name")
        yield Diagnostic("option", message, where, 'write tools = ["name"], or leave it out')


def budget_faults(
    op: Op, given: Mapping[str, Setting], types: Mapping[str, Declared]
) -> Iterator[Diagnostic]:
    """Yield the errors of budgets for what is no free text of the op's type."""
    each = [given[name] for name in ("budget", "reasoning_tokens") if name in given]
    if op.returns is None:
        for one in each:
            message = f"{one.name} closes a field of a typed reply, and '{op.name}' returns a text"
            hint = "declare what it returns: -> { reasoning: str, answer: str }"
            yield Diagnostic("option", message, part_span(one.span, "name"), hint)
        return
    nodes = [one.type for one in types.values() if isinstance(one, TypeDef)]
    if not each or any(any(type_faults(one, types)) for one in (op.returns, *nodes)):
        return
    names = free_texts(op.returns, types)
    for one in each:
        if one.name == "reasoning_tokens" and not names:
            message = f"the type that '{op.name}' returns has no free text to close"
            hint = "leave it out, or add a field: reasoning: str"
            yield Diagnostic("option", message, part_span(one.span, "name"), hint)
        for entry in one.value.entries if isinstance(one.value, Table) else ():
            if entry.name not in names:
                message = f"'{entry.name}' is no free text of the type that '{op.name}' returns"
                hint = suggest(entry.name, names) or "a budget closes a field that is a str"
                yield Diagnostic("option", message, part_span(one.span, "value"), hint)


def describe_faults(op: Op, given: Mapping[str, Setting]) -> Iterator[Diagnostic]:
    """Yield the errors of a `describe` that describes nothing, or reads more than `fields`."""
    setting = given.get(DESCRIBE)
    if setting is None or not isinstance(text := setting.value, str):
        return
    where = part_span(setting.span, "value")
    if not is_typed(op):
        message = f"describe says the type of a reply, and '{op.name}' returns a text"
        hint = "leave it out, or declare what the op returns: -> { ... }"
        yield Diagnostic("option", message, part_span(setting.span, "name"), hint)
    elif (fault := template_fault(text)) is not None:
        yield at_literal(fault, where)
    elif others := sorted(variables(text) - {FIELDS}):
        message = f"describe reads '{others[0]}': it is the same for all rows"
        hint = "it reads {{ fields }} alone; what is of a row is in user and system"
        yield Diagnostic("option", message, where, hint)
    elif text != UNDESCRIBED and FIELDS not in variables(text):
        message = "describe has no place for the type"
        hint = 'write {{ fields }} in it, or describe = "none"'
        yield Diagnostic("option", message, where, hint)


def code_faults(op: Op) -> Iterator[Diagnostic]:
    """Yield the error of an op that runs programs and declares a type."""
    if op.returns is not None:
        message = f"'{op.name}' runs programs, and returns {{ ok, value, stdout, error }}"
        where = part_span(op.span, "returns")
        yield Diagnostic("type", message, where or op.span, f"write op {op.name} : code {{ ... }}")


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

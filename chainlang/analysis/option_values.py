"""Checks of the values of options and settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chainlang.analysis.check_templates import template_fault
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.other_names import meant_by
from chainlang.diagnostics.source import Span, part_span
from chainlang.diagnostics.suggest import suggest, unknown
from chainlang.ir.nodes import Expr, Function, Option, Stage, Table
from chainlang.ir.rules import Rule
from chainlang.ir.sampling_options import DRAWS, SENT_BY_CHAINS
from chainlang.ir.tables import is_plain
from chainlang.notation.literals import at_literal, print_literal, print_number
from chainlang.semantics.answer_forms import pattern_faults
from chainlang.semantics.expressions import faults

MAX_TEMPERATURE = 2.0
MIN_TEMPERATURE = 0.01  # vLLM silently clamps lower values above 0, so they are refused


def temperature_fault(value: object, where: Span | None) -> Diagnostic | None:
    """Return the diagnostic of an invalid temperature; valid are 0, and 0.01 to 2."""
    hint = "write 0, or a number from 0.01 to 2"
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return Diagnostic("temperature", "invalid temperature: expected a number", where, hint)
    if value == 0 or MIN_TEMPERATURE <= value <= MAX_TEMPERATURE:
        return None
    shown = print_number(value)
    if 0 < value < MIN_TEMPERATURE:
        hint = "engines would silently use 0.01 instead; write 0 or at least 0.01"
        return Diagnostic("temperature", f"temperature {shown} is too small", where, hint)
    return Diagnostic("temperature", f"temperature {shown} is out of range", where, hint)


def faults_in(text: str, rule: Rule) -> tuple[Diagnostic, ...]:
    """Return the errors of a text that is an expression, a template or a pattern."""
    if rule.is_template:
        found = template_fault(text)
        return () if found is None else (found,)
    return faults(text) if rule.evaluated else pattern_faults(text) if rule.is_pattern else ()


def entry_faults(value: object, rule: Rule) -> Iterator[Diagnostic]:
    """Yield the errors of the templates of a table, where they are written."""
    if rule.of_templates and isinstance(value, Table):
        for entry in value.entries:
            if isinstance(entry.value, str) and (found := template_fault(entry.value)) is not None:
                yield at_literal(found, part_span(entry.span, "value"))


def table_faults(name: str, value: object) -> Iterator[Diagnostic]:
    """Yield an error for each field of `extra` that chains set themselves.

    >>> from chainlang.ir.tables import table_of
    >>> [one.message for one in table_faults("extra", table_of({"seed": 3, "user": "me"}))]
    ["extra can't have 'seed': chains set that field of a request themselves"]
    """
    if name != "extra" or not isinstance(value, Table):
        return
    for entry in value.entries:
        if entry.name in SENT_BY_CHAINS:
            message = f"{name} can't have '{entry.name}': chains set that field of a request"
            hint = f"write the option {entry.name} of the stage" if entry.name in DRAWS else None
            hint = hint or meant_by(entry.name, (*DRAWS, "count", "temperature"))
            yield Diagnostic("option", f"{message} themselves", entry.span, hint)


def in_quotes(option: Option) -> str | None:
    """Return the quoted form of an option's value that is an unquoted word; None for others."""
    value = option.value
    return f'quote it: {option.name}="{value.name}"' if isinstance(value, Stage) else None


def spoken(value: Any) -> str:
    """Return the value of an option for messages."""
    if isinstance(value, Table):
        return "a table" if is_plain(value) else "a table of chains"
    if isinstance(value, Expr):
        return f"the function @{value.name}" if isinstance(value, Function) else "a chain"
    return {"": "an empty text", (): "an empty list"}.get(value) or print_literal(value)


def unknown_option(option: Option, name: str, known: tuple[str, ...], owner: str) -> Diagnostic:
    """Return the error of an option that its owner does not take; `known` are those it takes."""
    hint = meant_by(name, known) or suggest(name, known, otherwise=None)
    if hint is None and isinstance(option.value, Expr):
        hint = f"a label stands in parentheses: ({name} = ...)"
        if "arms" in known:
            hint = f'arms stand in a table: arms={{"{name}": ...}}'
    if hint is None and not known:
        hint = f"{owner} takes no options"
    where, of = part_span(option.span, "name"), f" of {owner}"
    return unknown("option", name, known, where, code="unknown-option", of=of, hint=hint)

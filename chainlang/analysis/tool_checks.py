"""Checks of servers of tools, of the ops that call tools, and of the stages of these."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chainlang.analysis.check_templates import template_fault
from chainlang.analysis.server_settings import variable_faults
from chainlang.datatypes.check_types import Declared, type_faults
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.diagnostics.suggest import unknown
from chainlang.ir.declarations import Item, Model, Op, bodies_of
from chainlang.ir.nodes import Stage
from chainlang.ir.tools import SERVER, TOOL, is_address, servers, texts
from chainlang.ir.visit import walk

_OF_COMMANDS = ("args", "env", "network", "read", "sandbox", "write")
_OF_ADDRESSES = ("api_key", "headers")


def tool_faults(
    op: Op, items: tuple[Item, ...], types: Mapping[str, Declared]
) -> Iterator[Diagnostic]:
    """Yield the errors of an op that calls a tool, but for those of single settings."""
    given = {one.name: one for one in op.settings}
    for name, example in ((SERVER, "files"), (TOOL, '"read_file"')):
        if name not in given:
            message = f"the op '{op.name}' names no {name}"
            where = part_span(op.span, "name")
            yield Diagnostic("definition", message, where, f"add `{name} = {example}`")
    if SERVER in given:
        known, where = servers(items), part_span(given[SERVER].span, "value")
        if (name := str(given[SERVER].value)) not in known:
            hint = None if known else f'declare it: server {name} = mcp("command", args=["..."])'
            yield unknown("server", name, sorted(known), where, hint=hint)
    if "args" in given:
        where = part_span(given["args"].span, "value")
        for text in texts(given["args"].value):
            if (fault := template_fault(text)) is not None:
                yield Diagnostic(fault.code, fault.message, where, fault.hint)
    if op.returns is not None:
        yield from type_faults(op.returns, types)


def server_faults(server: Model) -> Iterator[Diagnostic]:
    """Yield the errors of settings that a server does not have: of an address, or of a command."""
    by_address = is_address(server.source)
    of = "an address" if by_address else "a command"
    for one in server.settings:
        where = part_span(one.span, "name")
        if one.name in (_OF_COMMANDS if by_address else _OF_ADDRESSES):
            message = f"{one.name} has no effect on a server that is {of}"
            yield Diagnostic("option", message, where, "leave it out")
        elif one.name == "env":
            many = one.value if isinstance(one.value, tuple) else (one.value,)
            for name in many:
                yield from variable_faults(str(name), part_span(one.span, "value"))


def stage_faults(stage: Stage) -> Iterator[Diagnostic]:
    """Yield the errors of a stage that calls a tool, and names a model or a temperature."""
    for part, value in (("model", stage.model), ("temperature", stage.temperature)):
        if value is not None:
            message = f"'{stage.name}' calls a tool, which has no {part}"
            yield Diagnostic(part, message, part_span(stage.span, part), "leave it out")


def misused_servers(items: tuple[Item, ...]) -> Iterator[Diagnostic]:
    """Yield an error for each stage or op that asks a server of tools, as if it were a model."""
    known = servers(items)
    if not known:
        return
    for body in bodies_of(items).values():
        for one in walk(body):
            if isinstance(one, Stage) and one.model in known:
                yield _misused(str(one.model), part_span(one.span, "model"))
    for item in items:
        for setting in item.settings if isinstance(item, Op) and item.kind != TOOL else ():
            if setting.name == "model" and setting.value in known:
                yield _misused(str(setting.value), part_span(setting.span, "value"))


def _misused(name: str, where: Span | None) -> Diagnostic:
    message = f"'{name}' is a server of tools, and no model"
    hint = f'call a tool of it: op read : tool {{ server = {name} tool = "..." }}'
    return Diagnostic("model", message, where, hint)

"""Ops of kind `tool`: calls of the tools of an MCP server, and what they mean as prompts.

A server is a model whose engine is `MCP`: its prompt is the call, its reply the result. `meant`
gives a tool op the settings that say so; the notation does not print them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from attrs import evolve

from chainlang.ir.builtins import CODE, DESCRIBE, KINDS, SYSTEM, UNDESCRIBED, Kind
from chainlang.ir.declarations import Item, Model, Op, Setting
from chainlang.ir.model_settings import ENGINES
from chainlang.ir.nodes import Table
from chainlang.ir.rules import TEXT, TRUTH, Rule, any_text
from chainlang.ir.sampling_options import DRAWS
from chainlang.ir.tables import is_plain

TOOL = "tool"
"""Kind of these ops."""
OP_KINDS = (*KINDS, TOOL, CODE)
"""Kinds of ops."""
MCP = "mcp"
"""Engine of the servers of tools."""
MODEL_ENGINES = tuple(one for one in ENGINES if one != MCP)
"""Engines of models."""
SERVER = "server"
_NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}")
_CANDIDATE = re.compile(r"\{[{%][^}]*\bcandidate\b")
_ONE_VALUE = re.compile(r"\s*\{\{-?\s*((?:[^{}%\"']|\"[^\"]*\"|'[^']*')+?)\s*-?\}\}\s*")


def _tool(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(value)
    return value


def _table(value: Any) -> Table:
    if not isinstance(value, Table) or not is_plain(value):
        raise ValueError(value)
    return value


TOOL_SETTINGS: Mapping[str, Rule] = {
    "answer": Rule("an expression in quotes", TEXT.read, takes_text=True, evaluated=True),
    "args": Rule('a table of the arguments, {"path": "{{ query }}"}', _table),
    "need": DRAWS["need"],
    "pure": TRUTH,
    SERVER: Rule("the name of a server", any_text, takes_text=True),
    TOOL: Rule("the name of a tool, of letters, digits and _ . / -", _tool, takes_text=True),
}
"""The settings of a tool op in a file."""


def written(op: Op) -> tuple[Setting, ...]:
    """Return the settings of an op as its author writes them: without those of `meant`."""
    if op.kind != TOOL:
        return op.settings
    added = _added({one.name: one for one in op.settings})
    return tuple(one for one in op.settings if one not in added)


def meant(op: Op) -> Op:
    """Return a tool op with the settings of a stage that asks its server; others as they are.

    A call with effects has a seed of its own, so that it equals no other; a pure one has none.
    """
    if op.kind != TOOL:
        return op
    own = written(op)
    return evolve(op, settings=(*own, *_added({one.name: one for one in own})))


def _added(given: Mapping[str, Setting]) -> tuple[Setting, ...]:
    is_pure = "pure" in given and given["pure"].value is True
    args = given.get("args")
    return (
        Setting(DESCRIBE, UNDESCRIBED),
        _like(given.get(SERVER), "model"),
        _like(given.get(TOOL), SYSTEM),
        Setting("temperature", 0.0 if is_pure else 1.0),
        evolve(_like(args, "user"), value=template(None if args is None else args.value)),
    )


def _like(one: Setting | None, name: str) -> Setting:
    """Return a setting with the value and the span of another one; empty if there is none."""
    return Setting(name, "") if one is None else evolve(one, name=name)


def kind_of(op: Op) -> Kind:
    """Return how often an op runs: a tool whose arguments read the candidate, for each of them."""
    if op.kind == CODE:
        return "map"
    if op.kind != TOOL:
        return cast("Kind", op.kind)
    args = next((one.value for one in op.settings if one.name == "args"), None)
    return "map" if any(map(_CANDIDATE.search, texts(args))) else "generate"


def has_effects(op: Op) -> bool:
    """Return whether the calls of an op may have effects: those of a tool, unless it is pure."""
    return op.kind == TOOL and not any(
        one.name == "pure" and one.value is True for one in op.settings
    )


def servers(items: tuple[Item, ...]) -> dict[str, Model]:
    """Return the servers of tools among items, by name."""
    return {one.name: one for one in items if isinstance(one, Model) and one.engine == MCP}


def is_address(source: str) -> bool:
    """Return whether a server is reached at an address; otherwise its source is a command."""
    return source.startswith(("http://", "https://"))


def texts(value: object) -> Iterator[str]:
    """Yield the texts in arguments, which are templates."""
    match value:
        case str():
            yield value
        case Table(entries):
            for one in entries:
                yield from texts(one.value)
        case tuple():
            for item in value:
                yield from texts(item)


def template(args: object) -> str:
    """Return the template of arguments as JSON. One that is a single value keeps its type.

    >>> from chainlang.ir.tables import table_of
    >>> template(table_of({"path": "{{ query }}", "head": 5}))
    '{"path": {{ query | tojson }}, "head": 5}'
    """
    match args:
        case None:
            return "{}"
        case Table(entries):
            inside = (f"{_constant(one.name)}: {template(one.value)}" for one in entries)
            return "{" + ", ".join(inside) + "}"
        case tuple():
            return "[" + ", ".join(map(template, args)) + "]"
        case str() if found := _ONE_VALUE.fullmatch(args):
            whole = found[1] if re.fullmatch(r"[\w.\[\]]+", found[1]) else f"({found[1]})"
            return f"{{{{ {whole} | tojson }}}}"
        case str() if "{{" in args or "{%" in args:
            return f"{{% set text_ %}}{args}{{% endset %}}{{{{ text_ | tojson }}}}"
    return _constant(args)


def _constant(value: object) -> str:
    """Return a constant as JSON in which jinja sees no tag."""
    return json.dumps(value).replace("{", "\\u007b")

"""Servers of tools as values in Python, and their tools as stage types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from chainlang.analysis.check_file import resolve_file
from chainlang.api.chain import Chain
from chainlang.api.stage_types import StageWord
from chainlang.datatypes.from_python import Described, described
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import raise_errors
from chainlang.ir.declarations import Model, Op, Setting, TypeDef
from chainlang.ir.tables import plain, table_of
from chainlang.ir.tools import MCP, TOOL, written
from chainlang.ir.verify import is_name
from chainlang.models.declaration import Declaration, trusted
from chainlang.notation import parse_file, source
from chainlang.notation.unparse import unparse_item
from chainlang.semantics.bindings import NOTHING, Bound


class ToolStage(StageWord):
    """A stage type that calls a tool."""

    def __call__(self, count: int = 1, **options: object) -> Chain:
        """Return a chain of one stage, which calls the tool `count` times.

        `options`: `need` and `of`, as of other stages.
        """
        return self.configured(count=count, **options)

    def __repr__(self) -> str:
        op = self.items[-1]
        assert isinstance(op, Op)
        given = ", ".join(f"{one.name}={plain(one.value)!r}" for one in written(op))
        return f"{type(self).__name__}({self.name!r}, {given})"


@frozen
class Server:
    """A server of tools under the name that it has in chains."""

    name: str
    declaration: Declaration

    def tool(
        self,
        tool: str,
        *,
        args: Mapping[str, Any] | None = None,
        name: str | None = None,
        returns: Any = None,
        pure: bool = False,
        **settings: Any,
    ) -> ToolStage:
        """Return the stage type that calls a tool, as ``op name : tool -> returns { ... }`` is.

        `args`: the arguments, whose texts are templates; one that is a single ``{{ ... }}`` keeps
        its type. `name`: of the stage type; default: that of the tool. `returns`: a type, in the
        notation or in Python. `pure`: whether the result depends on the arguments alone, so that
        equal calls may be one. `settings`: `answer` and `need`. Raises what a file would be refused
        for.
        """
        name = name or re.sub(r"\W", "_", tool)
        kind = _returned(returns, name)
        given: dict[str, Any] = {"server": self.name, "tool": tool}
        given |= {"args": table_of(_frozen(args))} if args else {}
        given |= {"pure": True} if pure else {}
        values = tuple(Setting(one, value) for one, value in {**given, **settings}.items())
        op = Op(
            name if is_name(name) else "tool_", TOOL, None if kind is None else kind.type, values
        )
        types = kind.declared if kind else ()
        items = (*types, self.item, op)
        text = "".join(f"{unparse_item(one)}\n" for one in items)
        file, found = resolve_file(parse_file(source(text, f"<tool {name}>")).node)
        raise_errors(found)
        (made,) = (one for one in file.items if isinstance(one, Op))
        bound = Bound(kind.classes) if kind else NOTHING
        return ToolStage(op.name, (*types, self.item, made), bound)

    @property
    def item(self) -> Model:
        """The server as an item of a chain."""
        return self.declaration.item(self.name)


def server(name: str, command: str, **settings: Any) -> Server:
    """Return the server that a command starts or an address reaches, under a name.

    The settings are those of a ``server`` item of a file: `args`, `env`, `network`, `sandbox`,
    `api_key`, `headers`, `seconds`, `max_bytes`, `max_concurrency`. Raises `SettingError`.

    >>> server("search", "http://127.0.0.1:8000/mcp", seconds=5)
    Server(name='search', declaration=mcp('http://127.0.0.1:8000/mcp', seconds=5))
    """
    if not is_name(name):
        hint = "names are Python identifiers"
        raise_errors([Diagnostic("operand", f"{name!r} can't be the name of a server", hint=hint)])
    return Server(name, trusted(Declaration.of(MCP, command, settings, "server()")))


def _frozen(value: Any) -> Any:
    """Return Python values as the IR has them: tables of tables and tuples."""
    if isinstance(value, Mapping):
        return {str(name): _inside(one) for name, one in value.items()}
    return value


def _inside(value: Any) -> Any:
    if isinstance(value, Mapping):
        return table_of(_frozen(value))
    return tuple(map(_inside, value)) if isinstance(value, list | tuple) else value


def _returned(returns: Any, name: str) -> Described | None:
    if returns is None or returns is str:
        return None
    if not isinstance(returns, str):
        return described(returns, f"{name}_result")
    parsed = parse_file(source(f"type returned = {returns}", "<returns>"))
    raise_errors(parsed.diagnostics)
    (item,) = parsed.node.items
    assert isinstance(item, TypeDef)
    return Described(item.type)

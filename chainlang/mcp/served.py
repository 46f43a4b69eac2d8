"""Chains as tools: the server of the SDK that calls them, with schemas made of their types."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from chainlang.api.chain import Chain
from chainlang.datatypes.check_types import declared_types, shape_of
from chainlang.datatypes.json_schema import json_schema
from chainlang.errors import ChainlangError, error_of
from chainlang.ir.declarations import Op, Type, TypeName, bodies_of
from chainlang.ir.nodes import Expr, Named, Ref, Repeat, Stage, Then
from chainlang.protocol.fingerprints import version_of
from chainlang.semantics.prelude import prelude

if TYPE_CHECKING:
    from mcp.server import Server
    from mcp.types import CallToolResult

_BETWEEN = 0.2  # seconds between two notifications of progress


@frozen
class Exported:
    """A chain under the name of a tool."""

    name: str
    chain: Chain
    description: str = ""
    settings: Mapping[str, Any] = field(factory=dict)
    """Settings of its calls, as `Chain.acall` takes them."""

    @property
    def input_schema(self) -> dict[str, Any]:
        """JSON schema of its arguments: the fields of `input`, or the query."""
        schema = self.chain.program().row_validator.json_schema()
        if schema is None:
            text = {"type": "string", "description": "the query"}
            return {"type": "object", "properties": {"query": text}, "required": ["query"]}
        return {"required": [], **schema}

    @property
    def output_schema(self) -> dict[str, Any]:
        """JSON schema of its structured result: the answer, and the calls that it took."""
        items = self.chain.items
        types = declared_types(items)
        kind = _returned(self.chain.body, {**prelude(), **_ops(items)}, bodies_of(items))
        answer: dict[str, Any] = {}
        if kind is not None:
            shape = shape_of(kind, types)
            fields_of = {} if shape is None else {one.name: one.type for one in shape.fields}
            of = fields_of.get("answer")
            answer = json.loads(json_schema(of or kind, types))
        defs = {"$defs": answer.pop("$defs")} if "$defs" in answer else {}
        fields = {"answer": answer, "calls": {"type": "integer"}}
        return {"type": "object", "properties": fields, "required": ["answer"], **defs}


def _ops(items: Iterable[Any]) -> dict[str, Op]:
    return {one.name: one for one in items if isinstance(one, Op)}


def _returned(node: Expr, ops: Mapping[str, Op], bodies: Mapping[str, Expr]) -> Type | None:
    """Return the declared type of the answers of a chain; None if it is not certain."""
    match node:
        case Then((*before, Stage("M"))) if before:
            return _returned(before[-1], ops, bodies)
        case Then((*_, last)):
            return _returned(last, ops, bodies)
        case Named(_, body) | Repeat(_, body):
            return _returned(body, ops, bodies)
        case Ref(name) if name in bodies:
            return _returned(bodies[name], ops, bodies)
        case Stage(name) if name in ops:
            op = ops[name]
            plain = not any(one.name in ("answer", "choose") for one in op.settings)
            return (op.returns or TypeName("str")) if plain else None
    return None


def served(exported: Iterable[Exported], name: str = "chainlang") -> Server[Any]:
    """Return a server of the SDK whose tools are chains.

    Its calls share engines. A client that cancels a call ends its row; progress is reported as
    replies come in. A row that fails is a result with `isError`.
    """
    from mcp import types
    from mcp.server import Server

    tools = {one.name: one for one in exported}

    async def list_tools(*_: Any) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[
                types.Tool(
                    name=one.name,
                    description=one.description or None,
                    input_schema=one.input_schema,
                    output_schema=one.output_schema,
                )
                for one in tools.values()
            ]
        )

    async def call_tool(context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        one = tools.get(params.name)
        if one is None:
            return _failed(f"there is no tool {params.name!r}, only {', '.join(tools)}")
        try:
            return await _called(one, params.arguments or {}, context)
        except ChainlangError as error:
            return _failed("; ".join(it.message for it in error.diagnostics))

    return Server(
        name, version=version_of("chainlang"), on_list_tools=list_tools, on_call_tool=call_tool
    )


async def _called(one: Exported, row: Mapping[str, Any], context: Any) -> CallToolResult:
    from mcp import types

    missing = [name for name in one.input_schema["required"] if name not in row]
    if missing:
        raise error_of("row", f"the argument {missing[0]!r} is missing")
    stream = one.chain.stream(dict(row), **one.settings)
    count, last = 0, 0.0
    async for piece in stream:
        count += 1
        if time.monotonic() - last > _BETWEEN:
            last = time.monotonic()
            await context.session.report_progress(count, None, piece.stage)
    result = stream.result
    answer = result.answer if not result.branches else _apart(result)
    fields = {"answer": answer, "calls": result.usage.calls}
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
    content: Any = [types.TextContent(type="text", text=text)]
    return types.CallToolResult(content=content, structured_content=fields)


def _apart(result: Any) -> dict[str, Any]:
    """Return the answers of branches that stay apart, by name."""
    return {
        name: _apart(one) if one.branches else one.answer for name, one in result.branches.items()
    }


def _failed(message: str) -> CallToolResult:
    from mcp import types

    content: Any = [types.TextContent(type="text", text=message)]
    return types.CallToolResult(content=content, is_error=True)

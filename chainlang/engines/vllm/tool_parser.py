"""Calls of tools in the replies of a model, read by vLLM's parser of its family."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import Any

from chainlang.diagnostics.suggest import suggest
from chainlang.engines.protocol import refuse
from chainlang.protocol.messages import Message, Request, Role, ToolCall, ToolSpec

Turn = tuple[Role, tuple[ToolCall, ...], str]
"""Role of a message, its calls of tools, and the id of the call whose result it is."""
_SETTING = "tool_parser"


def turn_of(message: Message) -> Turn:
    """Return what a chat template reads of a message besides its text."""
    return message.role, message.calls, message.call_id


def as_message(turn: Turn | Role, text: str) -> dict[str, Any]:
    """Return a message as a chat template reads it. A reply with calls has no text beside them."""
    if isinstance(turn, str):
        return {"role": turn, "content": text}
    role, calls, call_id = turn
    found: dict[str, Any] = {"role": role, "content": text}
    if calls:
        found["tool_calls"] = [
            {
                "id": one.id,
                "type": "function",
                "function": {"name": one.name, "arguments": _arguments(one)},
            }
            for one in calls
        ]
    if call_id:
        found["tool_call_id"] = call_id
    return found


def _arguments(call: ToolCall) -> Any:
    """Return the arguments of a call as templates print them; of an invalid one the text."""
    try:
        found = json.loads(call.arguments or "{}")
    except ValueError:
        return {"arguments": call.arguments}
    return found if isinstance(found, dict) else {"arguments": found}


def as_tools(tools: Iterable[ToolSpec]) -> list[dict[str, Any]]:
    """Return tools as chat templates and parsers read them."""
    return [
        {
            "type": "function",
            "function": {
                "name": one.name,
                "description": one.description,
                "parameters": json.loads(one.parameters),
            },
        }
        for one in tools
    ]


def texts_of(request: Request) -> str:
    """Return all of a request that a template prints as its own text: tools, and calls of them."""
    tools = (f"{one.name}{one.description}{one.parameters}" for one in request.tools)
    calls = (f"{it.name}{it.arguments}" for one in request.messages for it in one.calls)
    return "\n".join((*tools, *calls))


class CallReader:
    """vLLM's parser of one family, with the tokenizer of a model.

    Raises `EngineError` if there is no such parser, or the tokenizer lacks what it needs.
    """

    def __init__(self, name: str, tokenizer: Any) -> None:
        from vllm.tool_parsers import ToolParserManager

        known = sorted({*ToolParserManager.tool_parsers, *ToolParserManager.lazy_parsers})
        if name not in known:
            hint = suggest(name, known, f"vLLM has {', '.join(known)}")
            refuse(f"vLLM has no tool parser {name!r}", hint, setting=_SETTING)
        self.name = name
        self._tokenizer = tokenizer
        self._reader = lru_cache(64)(self._made)
        try:
            self._class = ToolParserManager.get_tool_parser(name)
            self._class(tokenizer, None)
        except Exception as error:  # noqa: BLE001  # each parser raises what it likes
            refuse(f"the tool parser {name!r} does not fit the model: {error}", setting=_SETTING)

    @cached_property
    def _request(self) -> Any:
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

        return ChatCompletionRequest

    def _made(self, tools: tuple[ToolSpec, ...]) -> tuple[Any, Any, bool]:
        """Return a request and its tools for the parser, and whether it reads special tokens."""
        asked = [{"role": "user", "content": ""}]
        request = self._request(messages=asked, tools=as_tools(tools), tool_choice="auto")
        adjusted = self._class(self._tokenizer, request.tools).adjust_request(request.model_copy())
        return request, request.tools, not adjusted.skip_special_tokens

    def reads_special(self, tools: tuple[ToolSpec, ...]) -> bool:
        """Return whether the parser looks for special tokens in a reply, if there are tools."""
        return bool(tools) and self._reader(tools)[2]

    def calls_in(
        self, text: str, tools: tuple[ToolSpec, ...]
    ) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return the text of a reply without its calls, and the calls: name and arguments."""
        request, given, _ = self._reader(tools)
        found = self._class(self._tokenizer, given).extract_tool_calls(text, request)
        if not found.tools_called:
            return text, ()
        calls = ((one.function.name, one.function.arguments) for one in found.tool_calls)
        return found.content or "", tuple(calls)

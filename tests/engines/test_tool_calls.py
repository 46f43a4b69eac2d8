"""Tools on servers: what is sent, what is read, and a whole chain in both protocols."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import E, chain
from chainlang.engines.anthropic.engine import AnthropicEngine
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.errors import EngineError, RowError
from tests.engines import messages_server
from tests.engines.server import Answer, Body, Server, as_json, chat_reply, in_turn

KEY, MODEL = messages_server.KEY, messages_server.MODEL


def weather(city: str) -> str:
    """Return the forecast of a city."""
    return f"sunny in {city}"


def calling(*calls: tuple[str, Any], text: str | None = None, reason: str = "tool_calls") -> Answer:
    """Return a reply of OpenAI's protocol that calls tools."""
    document = chat_reply("")
    document["choices"][0]["finish_reason"] = reason
    document["choices"][0]["message"] = {
        "role": "assistant",
        "content": text,
        "tool_calls": [
            {"id": f"random{at}", "type": "function", "function": {"name": name, "arguments": one}}
            for at, (name, one) in enumerate(calls)
        ],
    }
    return as_json(document)


BERN = ("weather", '{"city": "Bern"}')


def test_a_chain_calls_tools_over_the_chat_protocol() -> None:
    with Server(in_turn(calling(BERN, BERN), as_json(chat_reply("It is sunny.")))) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        result = E("m", tools=weather)("How is it?", engine=engine)
    assert result.answer == "It is sunny."
    first, second = server.bodies
    assert first["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "Return the forecast of a city.",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"type": "string"}},
                    "required": ["city"],
                    "additionalProperties": False,
                },
            },
        }
    ]
    called, *results = second["messages"][1:]
    assert called["content"] is None
    assert [one["function"] for one in called["tool_calls"]] == [
        {"name": "weather", "arguments": '{"city": "Bern"}'}
    ] * 2
    ids = [one["id"] for one in called["tool_calls"]]
    assert len(set(ids)) == 2
    assert not any(name.startswith("random") for name in ids)  # so that a resumed run is the same
    assert results == [
        {"role": "tool", "content": "sunny in Bern", "tool_call_id": name} for name in ids
    ]


@pytest.mark.parametrize(
    "reply",
    [
        calling(("weather", {"city": "Bern"})),
        calling(BERN, text="Let me see."),
        calling(BERN, text="Let me see.", reason="stop"),
        calling(BERN, text="", reason="function_call"),
    ],
)
def test_servers_say_a_call_in_several_ways(reply: Answer) -> None:
    with Server(in_turn(reply, as_json(chat_reply("It is sunny.")))) as server:
        result = E("m", tools=weather)("?", engine=OpenAIEngine("m", base_url=server.url))
    assert result.answer == "It is sunny."
    assert [one.kind for one in result.events] == ["tool"]


def test_a_call_without_tools_is_refused_as_before() -> None:
    with Server(in_turn(calling(BERN))) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        with pytest.raises(
            RowError, match=r"called a tool instead of replying.*its stage has none"
        ):
            chain("E:m")("?", engine=engine)
    with Server(in_turn(calling(BERN, text="fine", reason="stop"))) as server:
        found = chain("E:m")("?", engine=OpenAIEngine("m", base_url=server.url))
    assert found.answer == "fine"


def test_a_chain_calls_tools_over_the_messages_protocol() -> None:
    def answer(body: Body) -> Answer:
        if len(body["messages"]) > 1:
            return as_json(messages_server.reply("It is sunny."))
        document = messages_server.reply("Let me see.", "tool_use")
        for at in range(2):
            use = {"type": "tool_use", "id": f"toolu_{at}", "name": "weather"}
            document["content"].append({**use, "input": {"city": "Bern"}})
        return as_json(document)

    with messages_server.MessagesServer(answer) as server:
        engine = AnthropicEngine(MODEL, base_url=server.url, api_key=KEY)
        result = E("m", tools=weather)("How is it?", engine=engine)
    assert result.answer == "It is sunny."
    first, second = [one for one in server.bodies if "tools" in one]
    assert first["tools"][0].keys() == {"name", "description", "input_schema"}
    asked, called, results = second["messages"]
    assert asked == {"role": "user", "content": "How is it?"}
    assert [one["type"] for one in called["content"]] == ["text", "tool_use", "tool_use"]
    assert results["role"] == "user"
    assert [one["tool_use_id"] for one in results["content"]] == [
        one["id"] for one in called["content"][1:]
    ]
    assert {one["content"] for one in results["content"]} == {"sunny in Bern"}


def test_an_engine_that_thinks_takes_no_tools() -> None:
    with messages_server.MessagesServer(in_turn(as_json(messages_server.reply("no")))) as server:
        engine = AnthropicEngine(
            MODEL,
            base_url=server.url,
            api_key=KEY,
            thinking={"type": "enabled", "budget_tokens": 1024},
        )
        with pytest.raises(EngineError, match="can't give 'm' the tools of E"):
            E("m", 1, 1, tools=weather)("?", engine=engine)

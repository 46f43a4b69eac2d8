"""Tools on vLLM: prompts of a chat template with tools, and calls that its parsers read.

The bundled model calls no tools by itself. A schema holds its reply to a call here, and a parser of
this file takes numbers for calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chainlang import E, chain, op, tiny
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.engines.vllm.tokenize import Prompts
from chainlang.errors import EngineError
from chainlang.protocol.messages import Message, Request, Sampling, ToolCall, ToolSpec
from tests.conformance.asking import samples

TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message.tool_calls %}{% for one in message.tool_calls %}"
    '[{"name": "{{ one.function.name }}", "arguments": {{ one.function.arguments | tojson }}}]'
    "{% endfor %}{% else %}{{ message['content'] }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["Bern"]}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER = ToolSpec("weather", "Return the forecast of a city.", json.dumps(SCHEMA))
CALL = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1,
    "items": {
        "type": "object",
        "properties": {"name": {"const": "weather"}, "arguments": SCHEMA},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    },
}
TALK = (
    Message("user", "How is it in Bern?"),
    Message("assistant", "", calls=(ToolCall("call01000", "weather", '{"city": "Bern"}'),)),
    Message("tool", "sunny", call_id="call01000"),
)


@pytest.fixture(scope="module")
def engine() -> Iterator[VllmEngine]:
    made = VllmEngine(tiny.path(), max_num_seqs=16, chat_template=TEMPLATE, tool_parser="xlam")
    yield made
    made.close()


def asked(*messages: Message, **more: Any) -> Request:
    return Request(
        id=str(len(messages)),
        model="tiny",
        messages=messages,
        sampling=Sampling(temperature=0.0, max_tokens=64),
        seed=1,
        tools=(WEATHER,),
        **more,
    )


def test_a_prompt_with_tools_is_that_of_the_template() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny.path())
    prompts = Prompts(tokenizer, TEMPLATE)
    said = [
        {"role": "user", "content": "How is it in Bern?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Bern"}}}],
        },
        {"role": "tool", "content": "sunny"},
    ]
    function = {"name": "weather", "description": WEATHER.description, "parameters": SCHEMA}
    whole = tokenizer.apply_chat_template(
        said,
        chat_template=TEMPLATE,
        tools=[{"type": "function", "function": function}],
        tokenize=False,
        add_generation_prompt=True,
    )
    expected = tokenizer.encode(whole, add_special_tokens=False)
    assert prompts.token_ids(TALK, tools=(WEATHER,)) == expected
    hostile = (*TALK[:2], Message("tool", "sunny<|im_end|>", call_id="call01000"))
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert prompts.token_ids(hostile, tools=(WEATHER,)).count(end) == expected.count(end)
    assert prompts.has_markup("a<|im_end|>b")
    assert not prompts.has_markup("a b")


def test_a_reply_that_is_a_call_is_read_as_one(engine: VllmEngine) -> None:
    assert engine.capabilities.tools
    (sample,) = samples(engine, asked(TALK[0], schema=json.dumps(CALL)))
    assert sample.calls == (("weather", '{"city": "Bern"}'),)
    assert sample.text == ""
    (answer,) = samples(engine, asked(*TALK))
    assert not answer.calls
    assert answer.text


def test_markup_in_a_call_or_a_tool_is_refused(engine: VllmEngine) -> None:
    from chainlang.protocol.messages import Failure
    from tests.conformance.asking import replies

    call = ToolCall("call01000", "weather", '{"city": "<|im_end|>"}')
    talk = (TALK[0], Message("assistant", "", calls=(call,)), TALK[2])
    (reply,) = replies(engine, asked(*talk))
    assert isinstance(reply, Failure)
    assert "special token" in reply.message


def double(number: int) -> int:
    """Return twice a number."""
    return 2 * number


def test_chains_with_calls_mean_the_same_one_by_one_and_all_at_once(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def calls_in(text: str, tools: Any) -> Any:
        """Take a small number for a call, which the next reply may repeat."""
        number = text.strip()
        if number.isdecimal() and int(number) < 60:
            return "", (("double", json.dumps({"number": int(number)})),)
        return text, ()

    calls = engine._model.prompts.calls
    assert calls is not None
    monkeypatch.setattr(calls, "calls_in", calls_in)
    made = chain('3:E:tiny:1(tools="double", tool_rounds=3, need=1, max_tokens=12)')
    made = made.bind(double=double)
    rows = [f"What is {number} + {number + 3}?" for number in range(3, 30, 4)]

    def ran(**more: Any) -> list[Any]:
        results = made.map(rows, engine=engine, **more)
        return [(one.error or one["responses"], one.events) for one in results]

    naive = ran(window=1, passes=())
    assert ran() == naive
    assert sum(event.kind == "tool" for _, events in naive for event in events) > 5


def test_what_can_have_no_tools_is_refused(engine: VllmEngine) -> None:
    with pytest.raises(EngineError, match=r"(?s)no tool parser 'hermez'.*did you mean 'hermes'"):
        VllmEngine(tiny.path(), chat_template=TEMPLATE, tool_parser="hermez", loaded=False)
    with pytest.raises(EngineError, match="chat template of the model says nothing of tools"):
        VllmEngine(tiny.path(), tool_parser="hermes", loaded=False)
    typed = op("ask", user="{{ query }}", returns="{ a: int }", tools="double").as_chain()
    with pytest.raises(EngineError, match="tools and hold its reply to the type of ask"):
        typed.bind(double=double)("q", engine=engine)
    without = VllmEngine(tiny.path(), loaded=False)
    with pytest.raises(EngineError, match="can't give 'tiny' the tools of E"):
        E("tiny", tools=double)("q", engine=without)

"""Tools: on each engine that declares them, a prompt may have some, and the results of calls."""

from __future__ import annotations

import pytest
from attrs import evolve

from chainlang.engines.protocol import Engine
from chainlang.protocol.messages import Completion, Message, ToolCall, ToolSpec
from tests.conformance.asking import ask, replies, samples
from tests.conformance.engines import Kind

SCHEMA = '{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}'
PLUS = ToolSpec("plus", "Return a sum.", SCHEMA)
TALK = (
    Message("user", "What is 17 + 25?"),
    Message("assistant", "", calls=(ToolCall("call01000", "plus", '{"a": 17}'),)),
    Message("tool", "42", call_id="call01000"),
)


@pytest.fixture
def with_tools(engine: Engine) -> Engine:
    if not engine.capabilities.tools:
        pytest.skip(f"{engine.capabilities.name} has no tools")
    if engine.capabilities.name == "openai":
        pytest.skip("the server runs without a parser; tests/engines/test_tool_calls.py has others")
    return engine


def test_it_declares_what_its_kind_has(engine: Engine, kind: Kind) -> None:
    for name in ("tools", "typed_tools"):
        assert getattr(engine.capabilities, name) == (name not in kind.lacks)


def test_a_prompt_with_tools_has_a_text_or_calls(with_tools: Engine) -> None:
    for sample in samples(with_tools, evolve(ask(count=2), tools=(PLUS,))):
        assert bool(sample.text) != bool(sample.calls)
        assert not sample.refusal


def test_the_result_of_a_call_is_part_of_a_prompt(with_tools: Engine) -> None:
    (reply,) = replies(with_tools, evolve(ask(messages=TALK), tools=(PLUS,)))
    assert isinstance(reply, Completion)
    short = evolve(ask(messages=TALK[:1]), tools=(PLUS,))
    (shorter,) = replies(with_tools, short)
    assert isinstance(shorter, Completion)
    assert reply.usage.prompt_tokens > shorter.usage.prompt_tokens

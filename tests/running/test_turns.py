"""Turns of a prompt: what stands between its system text and its user message."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import load
from chainlang.api.chain import Chain
from chainlang.engines.fake import FakeEngine
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.plan.liveness import reads
from chainlang.plan.lower import lower
from chainlang.plan.steps import Sequence
from chainlang.protocol.messages import Request
from chainlang.runtime.ports.sample_keys import format_2
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.reference import interpret
from tests.engines.server import Server, as_json, chat_reply

HISTORY = [
    {"role": "user", "content": "Hi {{ 7 * 7 }} <|im_end|>"},
    {"role": "assistant", "content": "Hello"},
]
REPLY = """
op reply : generate { system = "Be short." messages = "history" user = "{{ query }}" }
main = reply
"""


class Asked:
    """An engine that keeps its requests, in the order in which they are completed."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.engine = FakeEngine(failures=self.take)

    def take(self, request: Request) -> None:
        self.requests.append(request)

    @property
    def last(self) -> list[tuple[str, str]]:
        """Messages of the last request."""
        return [(message.role, message.text) for message in self.requests[-1].messages]


def said(made: Chain, **row: Any) -> list[tuple[str, str]]:
    """Return the messages of the last request for a row."""
    asked = Asked()
    made(row, engine=asked.engine)
    return asked.last


def test_a_conversation_stands_between_the_system_text_and_the_user_message() -> None:
    made = load(text=REPLY)
    assert said(made, query="And?", history=HISTORY) == [
        ("system", "Be short."),
        ("user", "Hi {{ 7 * 7 }} <|im_end|>"),
        ("assistant", "Hello"),
        ("user", "And?"),
    ]
    assert said(made, query="And?", history=[]) == [("system", "Be short."), ("user", "And?")]


def test_a_conversation_may_come_from_a_step_before() -> None:
    turns = 'turns: list[{ role: "user" | "assistant", content: str(..9) }](2..2)'
    made = load(
        text=f"""
        op invent : generate -> {{ {turns} }} {{ user = "{{{{ query }}}}" }}
        op reply : map {{ messages = "candidate.turns" user = "Is it polite?" }}
        main = 2:invent::0.7 >> reply
    """
    )
    asked = Asked()
    result = made("Hello", engine=asked.engine)
    invented = [one.fields["turns"] for one in result.trace[0].candidates]
    assert [
        [{"role": one.role, "content": one.text} for one in request.messages[:-1]]
        for request in asked.requests[-2:]
    ] == invented


@pytest.mark.parametrize(
    ("history", "reason"),
    [
        (None, "messages= is no list but null"),
        ("Hi", 'messages= is no list but "Hi"'),
        (["Hi"], 'message 1 of messages= is no object with a role and a content but "Hi"'),
        ([*HISTORY, {"role": "user"}], "message 3 of messages= has no content, only role"),
        ([{"from": "human", "value": "a"}], "message 1 of messages= has no role, only from, value"),
        ([{}], "message 1 of messages= has no role, only nothing"),
        (
            [{"role": "tool", "content": "a"}],
            'the role of message 1 of messages= is "tool", none of system, user, assistant',
        ),
        (
            [{"role": ["user"], "content": "a"}],
            'the role of message 1 of messages= is ["user"], none of system, user, assistant',
        ),
        (
            [{"role": "user", "content": [{"type": "text"}]}],
            'the content of message 1 of messages= is no text but [{"type": "text"}]',
        ),
        (
            [{**HISTORY[1], "tool_calls": [1], "name": None}],
            "message 1 of messages= has more than a role and a content: tool_calls",
        ),
    ],
)
def test_a_bad_message_fails_its_row_by_name(history: object, reason: str) -> None:
    rows = [{"query": "?", "history": history}, {"query": "?", "history": HISTORY}]
    bad, good = load(text=REPLY).map(rows, engine=FakeEngine(), on_error="collect")
    assert good.ok
    assert bad.failure is not None
    assert bad.failure.message == f"the prompt can't be filled in: {reason}"


def test_the_interpreter_and_the_runtime_agree_on_conversations() -> None:
    made = load(text=REPLY.replace("main = reply", "main = 3:reply:tiny:0.7 >> M"))
    row = {"id": "r", "query": "And?", "history": HISTORY}
    flow = interpret(made.body, record_of(row), FakeEngine().complete, declared=made.items)
    result = made(row, engine=FakeEngine())
    assert [one.text for one in flow.trace[0].candidates] == [  # type: ignore[union-attr]
        one.text for one in result.trace[0].candidates
    ]


def test_messages_are_part_of_a_chain_and_of_the_keys_of_samples() -> None:
    made = load(text=REPLY)
    file = made.to_json()
    assert Chain.from_json(file) == made
    assert load(text=str(made)) == made
    without = load(text=REPLY.replace('messages = "history"', ""))
    asked = Asked()
    for one in (made, without, made):
        one({"id": "r", "query": "And?", "history": HISTORY}, engine=asked.engine)
    first, second, third = (format_2({})(one).bounded for one in asked.requests)
    assert first == third != second


def test_a_stage_waits_for_the_parts_that_its_messages_read() -> None:
    made = load(
        text="""
        op reply : generate {
          messages = "[{'role': 'assistant', 'content': draft.answer}]" user = "{{ query }}"
        }
        main = (draft = E) >> E(fresh=true) >> reply
    """
    )
    plan = lower(made.body, made.items)
    assert isinstance(plan.root, Sequence)
    assert reads(plan.root.steps[-1]) == {"draft", "query"}
    asked = Asked()
    result = made("?", engine=asked.engine)
    assert asked.last == [("assistant", result["draft"].answer), ("user", "?")]


def test_predicted_prompt_tokens_count_the_conversation() -> None:
    rows = [{"query": "And?", "history": HISTORY}, {"query": "Why?", "history": []}]
    found = load(text=REPLY).explain(rows, engine=FakeEngine(), analyze=True)
    (predicted,) = found.estimate.models.values()
    assert found.actual is not None
    (actual,) = found.actual.engines.values()
    assert predicted.cost.prompt_tokens.least == predicted.cost.prompt_tokens.most
    assert predicted.cost.prompt_tokens.least == actual.usage.prompt_tokens


def test_servers_get_the_conversation_as_messages() -> None:
    with Server(lambda body: as_json(chat_reply("ok"))) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        load(text=REPLY)({"query": "And?", "history": HISTORY}, engine=engine)
        engine.close()
    assert server.bodies[-1]["messages"] == [
        {"role": "system", "content": "Be short."},
        *HISTORY,
        {"role": "user", "content": "And?"},
    ]


def test_a_prompt_whose_messages_read_the_row_gets_no_warning(recwarn: Any) -> None:
    made = load(text='op reply : generate { messages = "history" user = "Go on." }\nmain = reply')
    assert not recwarn.list
    assert said(made, history=HISTORY)[-1] == ("user", "Go on.")

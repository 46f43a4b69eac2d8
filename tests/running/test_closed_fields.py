"""Budgets of fields: a free text in a typed reply is closed, and what follows is generated."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chainlang import J, chain, load
from chainlang.engines import closing
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.protocol.messages import Request
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Record
from chainlang.semantics.reference import interpret
from tests.engines.server import Server, as_json, chat_reply

LONG = json.dumps({"reasoning": "because " * 60, "final_answer": "42"})
OP = """
op say : generate -> { why: str, sure: bool, then: str? } {
  budget = { why = 4, then = 5 } temperature = 0.7 user = "{{ query }}"
}
main = 3:say
"""


def long(request: Request, index: int) -> str | Reply:
    """Return replies whose texts depend on the sample, and have escapes."""
    if request.schema is None:
        return "a"
    text = f'\\"{(request.seed + index) % 7} ☃\U0001f600' * 20
    fields = json.loads(request.schema)["properties"]
    return Reply(json.dumps({name: text if name != "sure" else True for name in fields}))


def test_a_text_is_closed_and_the_rest_follows() -> None:
    engine = FakeEngine(answers=lambda request, index: LONG if request.schema else "a")
    result = chain("3:E >> 2:J::0.5(reasoning_tokens=16)")("q", engine=engine)
    assert [one.answer for one in result.candidates] == ["42", "42"]
    assert len(result.candidates[0].fields["reasoning"]) == 16 * 4 - 1
    assert [(one.kind, one.sample) for one in result.events] == [("closed", 0), ("closed", 1)]
    assert "'reasoning' was closed at its budget, which is 16" in result.events[0].message
    assert result.usage.calls == 5  # a sample is one call, however often it continues


def test_a_judge_a_verifier_and_a_selector_leave_a_quarter_for_the_rest() -> None:
    budgets: list[Any] = []

    def answer(request: Request, index: int) -> None:
        budgets.append(request.budgets)

    made = chain("E >> V >> J(max_tokens=100) >> S(reasoning_tokens=7)")
    made("q", engine=FakeEngine(answers=answer))
    assert budgets == [
        (),
        (("explanation", 768), ("revised_answer", 1013)),
        (("reasoning", 75), ("final_answer", 99)),
        (("reasoning", 7),),
    ]


def test_each_field_has_its_budget_also_the_last() -> None:
    result = load(text=OP)("q", engine=FakeEngine(answers=long))
    for one in result.candidates:
        assert len(json.dumps(one.fields["why"])) <= 4 * 4 + 1
        assert len(json.dumps(one.fields["then"])) <= 5 * 4 + 1
        assert one.fields["sure"] is True
        assert one.finish == "stop"
    assert [one.kind for one in result.events] == ["closed"] * 6


def test_the_interpreter_and_the_runtime_agree_on_closed_fields() -> None:
    made = load(text=OP.replace("main = 3:say", "main = 3:say >> 2:J::0.4(reasoning_tokens=9)"))
    row = {"id": "r", "query": "q"}
    flow = interpret(
        made.body, record_of(row), FakeEngine(answers=long).complete, declared=made.items
    )
    assert isinstance(flow, Record)
    result = made(row, engine=FakeEngine(answers=long))
    assert flow.trace == result.trace
    assert flow.events == result.events


@pytest.mark.parametrize("name", ["reasoning", "final_answer"])
def test_a_judge_that_goes_on_and_on_still_ends(name: str) -> None:
    texts = {"reasoning": "so", "final_answer": "42", name: "and on " * 999}
    reply = json.dumps(texts)
    engine = FakeEngine(answers=lambda request, index: reply if request.schema else "a")
    result = chain("E >> J")("q", engine=engine)
    assert [one.message.split("'")[1] for one in result.events] == [name]
    assert result.answer.startswith("42" if name == "reasoning" else "and on and on")
    assert len(result.candidates[-1].text) <= 4 * 1024


def test_no_room_for_the_rest_is_a_cut() -> None:
    engine = FakeEngine(answers=lambda request, index: LONG if request.schema else "a")
    made = chain("E >> J(max_tokens=20, reasoning_tokens=19)")
    (failed,) = made.map(["q"], engine=engine, on_error="collect")
    assert failed.failure is not None
    assert failed.failure.cause == "cut"


def test_a_full_context_makes_budgets_smaller() -> None:
    engine = FakeEngine(answers=lambda request, index: LONG if request.schema else "a", context=90)
    result = chain("E >> J(max_tokens=400)")("q", engine=engine)
    assert result.answer == "42"
    assert [one.kind for one in result.events] == ["closed"]


@pytest.mark.parametrize(
    ("first", "then", "drawn"),
    [
        ({}, {}, 0),
        ({"max_tokens": 200}, {}, 0),  # a larger bound redraws what was closed, and no more
        ({"reasoning_tokens": 20}, {"reasoning_tokens": 30}, 1),
        ({"reasoning_tokens": 20}, {"reasoning_tokens": 2}, 2),
    ],
)
def test_budgets_bound_a_sample_as_max_tokens_does(
    first: dict[str, int], then: dict[str, int], drawn: int, tmp_path: Path
) -> None:
    counted: list[Request] = []

    def answer(request: Request, index: int) -> str:
        counted.append(request)
        if request.schema is None:
            return "a"
        short = '{"reasoning": "so, it is", "final_answer": "1"}'
        return LONG if "long" in request.messages[0].text else short

    engine = FakeEngine(answers=answer)
    cache: dict[str, Any] = {"cache": "write", "cache_folder": tmp_path}
    for options in (first, then):
        counted.clear()
        made = chain("E") >> J(**options)  # type: ignore[arg-type]
        rows = ["short", *(["long"] if "reasoning_tokens" in first else [])]
        results = list(made.map(rows, engine=engine, **cache))
        assert all(one.ok for one in results)
    again = [one for one in counted if one.schema is not None and one.begin is None]
    assert len(again) == drawn


def test_a_closed_sample_streams_its_text_once() -> None:
    async def streamed() -> tuple[list[str], list[str]]:
        stream = load(text=OP).stream("q", engine=FakeEngine(answers=long))
        found = ["", "", ""]
        async for one in stream:
            found[one.sample] += one.text
        return found, [one.text for one in stream.result.candidates]

    found, whole = asyncio.run(streamed())
    assert found == whole


def test_a_server_is_given_the_bound_in_characters() -> None:
    reply = json.dumps({"reasoning": "x" * 40, "final_answer": "1"})
    with Server(
        lambda body: as_json(chat_reply(reply if "response_format" in body else "a"))
    ) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        result = chain("E >> J(reasoning_tokens=10)")("q", engine=engine)
        engine.close()
    schema = server.bodies[-1]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["reasoning"] == {"type": "string", "maxLength": 40}
    assert [one.kind for one in result.events] == ["closed"]


def test_a_server_that_refuses_the_bound_is_asked_without_and_the_run_says_so() -> None:
    reply = json.dumps({"reasoning": "x", "final_answer": "1"})

    def answer(body: Any) -> Any:
        if "maxLength" in json.dumps(body):
            return as_json(
                {"error": {"message": "invalid schema", "param": "response_format"}}, 400
            )
        return as_json(chat_reply(reply if "response_format" in body else "a"))

    with Server(answer) as server:
        engine = OpenAIEngine("m", base_url=server.url)
        results = list(chain("E >> J").map(["q", "r"], engine=engine, window=1))
        engine.close()
    assert [[(one.kind, one.message) for one in result.events] for result in results] == [
        [("unenforced", 'the budget of "reasoning", the budget of "final_answer"')]
    ] * 2
    assert len(server.bodies) == 5  # one was refused


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + '"',
        lambda text: text.replace("☃", "\\u2603"),
        lambda text: text[: len(text) // 2],
    ],
)
def test_where_texts_stand_in_the_beginning_of_a_reply(change: Callable[[str], str]) -> None:
    whole = change(json.dumps({"a": ["x", {"b": "y"}], "c": '\\ud83d"} ☃', "d": "z"}))
    for end in range(len(whole)):
        found = closing.texts(whole[:end])
        assert set(found) <= {"c", "d"}
        for start, stop in found.values():
            assert whole[start] == '"'
            assert stop is None or json.loads(whole[start:stop])

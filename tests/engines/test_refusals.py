"""Replies that are none: filters, tools, refusals. Each fails its sample alone, at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.protocol.messages import Completion
from tests.engines.server import Answer, Body, Server, as_json, chat_reply, echo
from tests.engines.test_openai import ask, asking, policy


def choice(message: dict[str, Any], finish: str = "stop") -> dict[str, Any]:
    return {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}


TOOL = {"type": "function", "function": {"name": "weather", "arguments": "{}"}}
REFUSED = {
    "a filter": (choice({"content": None}, "content_filter"), "content filter"),
    "a filter after some text": (choice({"content": "How to"}, "content_filter"), "content filter"),
    "Gemini's filter": (choice({"content": ""}, "SAFETY"), "content filter"),
    "GLM's filter": (choice({"content": ""}, "sensitive"), "content filter"),
    "tools": (choice({"content": None, "tool_calls": [TOOL]}, "tool_calls"), "called a tool"),
    "a function": (choice({"content": None, "function_call": {}}, "function_call"), "a tool"),
    "tools that stop": (choice({"content": None, "tool_calls": [TOOL]}), "called a tool"),
    "Anthropic's tools": (choice({"content": ""}, "tool_use"), "called a tool"),
    "a refusal": (choice({"content": None, "refusal": "I won't."}), "the model refused"),
    "a refusal as a part": (
        choice({"content": [{"type": "refusal", "refusal": "I won't."}]}),
        "the model refused",
    ),
    "Anthropic's refusal": (choice({"content": ""}, "refusal"), "the model refused"),
    "a picture": (choice({"content": [{"type": "image_url", "image_url": {}}]}), "'image_url'"),
}


def events(*choices: dict[str, Any]) -> Answer:
    """Answer with these choices as a stream: all but the reason, then the reason."""
    found = []
    for one in choices:
        message = {name: value for name, value in one["message"].items() if value is not None}
        rests = ({"delta": message}, {"delta": {}, "finish_reason": one["finish_reason"]})
        found += [{"choices": [{"index": one["index"], **rest}]} for rest in rests]
    lines = [f"data: {json.dumps(one)}\n\n" for one in found]
    return Answer("".join([*lines, "data: [DONE]\n\n"]).encode(), type="text/event-stream")


@pytest.mark.quick(8)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", REFUSED)
def test_a_reply_that_is_none_is_refused_and_asked_once(name: str, stream: bool) -> None:
    one, why = REFUSED[name]
    answer = events(one) if stream else as_json({"choices": [one]})
    with asking(lambda _: answer) as (server, engine):
        engine.submit([ask(stream=stream)])
        while not (found := [one for one in engine.step() if isinstance(one, Completion)]):
            pass
    (sample,) = found[0].samples
    assert why in sample.refusal
    assert len(server.bodies) == 1


TEXTS = {
    "parts": [{"type": "text", "text": "4"}, {"type": "text", "text": "2"}],
    "texts": ["4", "2"],
    "one part": [{"type": "output_text", "text": "42", "annotations": []}],
    "thoughts and text": [
        {"type": "thinking", "thinking": [{"type": "text", "text": "7 + 5"}]},
        {"type": "text", "text": "42"},
    ],
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", TEXTS)
def test_content_in_parts_is_text(name: str, stream: bool) -> None:
    one = choice({"content": TEXTS[name]})
    answer = events(one) if stream else as_json({"choices": [one]})
    with asking(lambda _: answer) as (_, engine):
        engine.submit([ask(stream=stream)])
        while not (found := [one for one in engine.step() if isinstance(one, Completion)]):
            pass
    (sample,) = found[0].samples
    assert (sample.text, sample.refusal) == ("42", "")
    assert sample.reasoning == ("7 + 5" if name == "thoughts and text" else "")


def filtered(body: Body) -> Answer:
    """Filter questions with `bad` in them, and the second sample of those with `half`."""
    prompt = body["messages"][-1]["content"]
    document = chat_reply(*["fine"] * body.get("n", 1))
    for number, one in enumerate(document["choices"]):
        if "bad" in prompt or ("half" in prompt and number == 1):
            one |= {"finish_reason": "content_filter", "message": {"content": None}}
    return as_json(document)


def over(answer: Callable[[Body], Answer], run: Callable[[OpenAIEngine], object]) -> Server:
    with Server(answer) as server:
        engine = OpenAIEngine(base_url=server.url, retry=policy())
        try:
            run(engine)
        finally:
            engine.close()
    return server


def test_filtered_rows_fail_alone_and_the_model_stays_available() -> None:
    rows = [f"bad {number}" for number in range(40)] + ["good"]

    def run(engine: OpenAIEngine) -> None:
        *bad, good = chain("E:m").map(rows, engine=engine, window=3)
        assert {one.failure.cause for one in bad if one.failure} == {"refused"}
        assert len([one for one in bad if one.failure]) == 40
        assert good.answer == "fine"

    assert len(over(filtered, run).bodies) == 41


def test_one_filtered_sample_leaves_the_others(tmp_path: Path) -> None:
    def run(engine: OpenAIEngine) -> None:
        found = chain("3:E:m:0.7(need=2) >> M")("half", engine=engine)
        assert found["votes"] == {'"fine"': 2}
        failed = chain("3:E:m:0.7")("half", engine=engine, on_error="collect").failure
        assert failed is not None
        assert (failed.cause, failed.sample) == ("refused", 1)
        assert chain("fallback(E:m, E:n)")("bad", engine=engine, on_error="collect").failure

    assert len(over(filtered, run).bodies) == 4


def test_a_refused_sample_is_asked_for_again_when_the_row_is(tmp_path: Path) -> None:
    refusing = [True]

    def answer(body: Body) -> Answer:
        return filtered(body) if refusing[0] else echo(body)

    def run(engine: OpenAIEngine) -> None:
        rows = [{"id": "a", "query": "half"}]
        ran = chain("3:E:m:0.7").run(rows, tmp_path / "run", engine=engine)
        assert ran.failed == 1
        refusing[0] = False
        ran = chain("3:E:m:0.7").run(rows, tmp_path / "run", engine=engine, retry_failed=True)
        assert ran.failed == 0

    bodies = over(answer, run).bodies
    assert [body.get("n", 1) for body in bodies] == [3, 1]  # what was refused, and no other


def test_the_fake_engine_refuses_as_it_is_scripted() -> None:
    script = {"q": [Reply("", refusal="the filter stopped it"), "4", "4"]}
    engine = FakeEngine(answers=script)
    assert chain("3:E:m:0.7(need=2) >> M")("q", engine=engine).answer == "4"
    failure = chain("3:E:m:0.7")("q", engine=engine, on_error="collect").failure
    assert failure is not None
    assert (failure.message, failure.cause) == ("the filter stopped it", "refused")

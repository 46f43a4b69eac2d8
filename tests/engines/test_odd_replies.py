"""Responses of any shape: each is a reply, a refusal or malformed, and no error of the engine."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from hypothesis import strategies as st

from chainlang import chain
from chainlang.engines.http.deltas import DeltaEmitter, Diverged
from chainlang.engines.http.event_stream import LongEvent
from chainlang.engines.http.json_values import Malformed
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.engines.openai.read_response import parse_response
from chainlang.engines.openai.sse import StreamedResponse
from chainlang.protocol.messages import Completion, Failure
from tests.engines.server import Answer, Server, as_json, chat_reply, echo, in_turn
from tests.engines.test_openai import ask, asking, finish, policy, texts
from tests.laws import law

WHOLE: dict[str, Any] = chat_reply("42")
WHOLE["choices"][0]["logprobs"] = {"content": [{"token": "42", "logprob": -0.5}]}
WHOLE["usage"]["prompt_tokens_details"] = {"cached_tokens": 4}
CHUNK = {
    "choices": [
        {
            "index": 0,
            "delta": {"content": "42", "reasoning": "Hm."},
            "logprobs": {"content": [{"token": "42", "logprob": -0.5}]},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 7, "completion_tokens": 10},
}
DIGITS = int("9" * 4299)


def paths(value: Any, *above: Any) -> list[tuple[Any, ...]]:
    """Return the path of each value inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, one in inside:
        found.append((*above, key))
        found += paths(one, *above, key) if isinstance(one, dict | list) else []
    return found


def replaced(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return document


ODD = {
    "finish_reason is a list": (("choices", 0, "finish_reason"), []),
    "finish_reason is a number": (("choices", 0, "finish_reason"), 5),
    "finish_reason is an object": (("choices", 0, "finish_reason"), {"a": 1}),
    "index is a list": (("choices", 0, "index"), []),
    "index is a truth value": (("choices", 0, "index"), True),
    "index is negative": (("choices", 0, "index"), -1),
    "logprobs are a number": (("choices", 0, "logprobs", "content"), 5),
    "a logprob has too many digits": (("choices", 0, "logprobs", "content", 0, "logprob"), DIGITS),
    "a logprob is NaN": (("choices", 0, "logprobs", "content", 0, "logprob"), float("nan")),
    "choices are a number": (("choices",), 5),
    "choices are an object": (("choices",), {"0": 1}),
    "tokens have too many digits": (("usage", "completion_tokens"), DIGITS),
    "tokens are a text": (("usage", "completion_tokens"), "10"),
    "content is an object": (("choices", 0, "message", "content"), {"text": "42"}),
}
EVENTS = {
    "an index of -1": (("choices", 0, "index"), -1),
    "an index that is a list": (("choices", 0, "index"), []),
    "choices that are a number": (("choices",), 5),
    "logprobs that are a number": (("choices", 0, "logprobs", "content"), 5),
    "a finish reason that is a list": (("choices", 0, "finish_reason"), [1]),
    "a delta that is a text": (("choices", 0, "delta"), "42"),
    "content that is a number": (("choices", 0, "delta", "content"), [4, 2]),
    "tokens of many digits": (("usage", "prompt_tokens"), DIGITS),
}


def streamed(*events: Any) -> Answer:
    lines = [f"data: {json.dumps(one)}\n\n" for one in events]
    return Answer("".join([*lines, "data: [DONE]\n\n"]).encode(), type="text/event-stream")


@pytest.mark.parametrize("name", ODD)
def test_a_reply_of_another_type_is_malformed_and_asked_again(name: str) -> None:
    odd = as_json(replaced(WHOLE, *ODD[name]))
    with asking(in_turn(odd, echo)) as (server, engine):
        assert texts(finish(engine, ask())["1"]) == ["1/100"]
    assert len(server.bodies) == 2


@pytest.mark.parametrize("name", EVENTS)
def test_so_is_an_event_of_a_stream(name: str) -> None:
    odd = streamed(replaced(CHUNK, *EVENTS[name]))
    with asking(in_turn(odd, streamed(CHUNK))) as (server, engine):
        engine.submit([ask(stream=True)])
        found: list[Completion | Failure] = []
        while not found:
            found = [one for one in engine.step() if isinstance(one, Completion | Failure)]
    assert texts(found[0]) == ["42"]
    assert len(server.bodies) == 2


def test_an_odd_reply_fails_its_row_and_no_run() -> None:
    def answer(body: Any) -> Answer:
        bad = "bad" in body["messages"][-1]["content"]
        return as_json(replaced(WHOLE, ("usage", "prompt_tokens"), DIGITS)) if bad else echo(body)

    with Server(answer) as server:
        engine = OpenAIEngine(base_url=server.url, retry=policy(attempts=2))
        first, second = chain("E:m").map(["bad", "good"], engine=engine, patience=0)
        engine.close()
    assert first.failure is not None
    assert first.failure.cause == "transport"
    assert "`usage.prompt_tokens` is not a number of tokens" in first.failure.message
    assert second.ok


anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3)
    | st.sampled_from([DIGITS, -DIGITS, "stop", "tool_calls", "text"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(st.sampled_from(["type", "text", "refusal", "content", "x"]), inner),
    max_leaves=4,
)  # fmt: skip


@law(st.data())
def test_any_value_at_any_place_is_read_or_malformed(data: st.DataObject) -> None:
    document = replaced(WHOLE, data.draw(st.sampled_from(paths(WHOLE))), data.draw(anything))
    try:
        response = parse_response(document, 1)
    except Malformed:
        return
    assert response.samples.keys() == {0}
    assert 0 <= response.usage.output_tokens <= 1 << 53


@law(st.data())
def test_any_value_in_any_event_is_read_or_malformed(data: st.DataObject) -> None:
    event = replaced(CHUNK, data.draw(st.sampled_from(paths(CHUNK))), data.draw(anything))
    emitted: list[tuple[int, str, str]] = []
    stream = StreamedResponse(DeltaEmitter(lambda *one: emitted.append(one)), 3, 1)
    try:
        stream.feed(f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode())
        parse_response(stream.document(), 1)
    except (Malformed, Diverged):
        return
    finally:
        assert {number for number, *_ in emitted} <= {3}


# ---------------------------------------------------------------- streams without an end


def stream_of() -> StreamedResponse:
    return StreamedResponse(DeltaEmitter(lambda *_: None), 0, 1)


def feed(begins: bytes, part: bytes) -> None:
    """Feed 20 MB of a part to a stream."""
    stream = stream_of()
    stream.feed(begins)
    for _ in range(300):
        stream.feed(part)


@pytest.mark.parametrize("begins", [b"data: ", b": ", b"", b'data: {"a": 1}\ndata: '])
def test_a_line_without_an_end_is_refused(begins: bytes) -> None:
    with pytest.raises(LongEvent, match="an event of more than 8,388,608 bytes"):
        feed(begins, b"x" * (1 << 16))


def test_so_is_an_event_without_an_end() -> None:
    with pytest.raises(LongEvent):
        feed(b"", b"data: " + b"x" * (1 << 16) + b"\n")


def test_comments_without_events_are_no_event() -> None:
    feed(b"", b": " + b"x" * (1 << 16) + b"\n")


def test_a_line_in_many_parts_is_read_in_linear_time() -> None:
    event = b"data: " + json.dumps({"choices": [], "x": "y" * (1 << 22)}).encode() + b"\n\n"
    begun = time.process_time()
    stream = stream_of()
    for start in range(0, len(event), 64):
        stream.feed(event[start : start + 64])
    assert time.process_time() - begun < 10  # in quadratic time: minutes


@pytest.mark.slow
def test_a_text_in_many_deltas_is_emitted_in_linear_time() -> None:
    deltas, part = DeltaEmitter(lambda *_: None), "word"
    begun = time.process_time()
    for _ in range(2):  # again, as after a broken connection
        for number in range(200_000):
            deltas.emit(0, 4 * number, part)
    deltas.check_end(0, part * 200_000)
    assert time.process_time() - begun < 20


def test_an_endless_line_is_asked_again_and_then_fails() -> None:
    endless = Answer(b"data: " + b"x" * (9 << 20), type="text/event-stream")
    with asking(in_turn(endless), retry=policy(attempts=2)) as (server, engine):
        engine.submit([ask(stream=True)])
        found: list[Any] = []
        while not found:
            found = engine.step()
    assert isinstance(found[0], Failure)
    assert found[0].message == (
        f"{server.url} sent an event of more than 8,388,608 bytes; 2 attempts"
    )

"""The engine over a server of the Messages API: what it sends, what it reads, what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from chainlang import chain, load
from chainlang.engines.anthropic.engine import AnthropicEngine
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError, EngineError
from chainlang.protocol.messages import Completion, Delta, Failure, Message, Usage
from tests.engines.messages_server import (
    KEY,
    MODEL,
    MessagesServer,
    as_events,
    failing,
    from_engine,
    invalid,
    reply,
)
from tests.engines.server import Answer, Body, as_json, in_turn
from tests.engines.test_openai import Clock, ask, finish, policy, texts


@contextmanager
def asking(
    answer: Callable[[Body], Answer], info: Any = None, **options: Any
) -> Iterator[tuple[MessagesServer, AnthropicEngine]]:
    options = {"retry": policy(), "api_key": KEY, **options}
    with MessagesServer(answer, info=info or {}) as server:
        engine = AnthropicEngine(MODEL, base_url=server.url, **options)
        try:
            yield server, engine
        finally:
            engine.close()


def good(text: str = "42", reason: str = "end_turn", **more: Any) -> Callable[[Body], Answer]:
    return lambda _: as_json(reply(text, reason, **more))


def answer_to(given: Callable[[Body], Answer], **fields: Any) -> Completion | Failure:
    options = fields.pop("options", {})
    with asking(given, **options) as (_, engine):
        return finish(engine, ask(**fields))["1"]


# ---------------------------------------------------------------- requests


def test_a_request_has_its_system_text_apart_and_no_seed() -> None:
    options = {"top_p": 0.9, "top_k": 5, "stop": ("END",), "extra": '{"metadata": {"a": 1}}'}
    with asking(good()) as (server, engine):
        finish(engine, ask("hi", count=2, sampling=options))
    sent = {
        "model": MODEL,
        "max_tokens": 8,
        "messages": [{"role": "user", "content": "hi"}],
        "system": "Be brief.",
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 5,
        "stop_sequences": ["END"],
        "metadata": {"a": 1},
    }
    assert server.bodies == [sent, sent]
    assert server.headers[0]["x-api-key"] == KEY
    assert "authorization" not in server.headers[0]


def test_parameters_with_their_default_are_left_out() -> None:
    with asking(good()) as (server, engine):
        finish(engine, ask(sampling={"temperature": 1.0}))
    assert not {"temperature", "top_p", "top_k", "stream"} & server.bodies[0].keys()


def test_a_schema_is_sent_without_what_the_api_does_not_take() -> None:
    fields = {"score": {"type": "integer", "minimum": 1, "maximum": 3}}
    fields["name"] = {"type": "string", "minLength": 2, "pattern": "^a"}
    schema = json.dumps({"type": "object", "properties": fields, "required": [*fields]})
    with asking(from_engine(FakeEngine())) as (server, engine):
        found = finish(engine, ask(schema=schema, sampling={"max_tokens": 50}))["1"]
    assert server.bodies[0]["output_config"] == {
        "format": {
            "type": "json_schema",
            "schema": {
                "type": "object",
                "properties": {"score": {"enum": [1, 2, 3]}, "name": {"type": "string"}},
                "additionalProperties": False,
                "required": ["score", "name"],
            },
        }
    }
    assert isinstance(found, Completion)
    assert found.samples[0].unkept == ("minLength", "pattern")


def test_a_schema_that_no_reply_fits_is_refused_without_a_request() -> None:
    with asking(good()) as (server, engine):
        schema = '{"type": "integer", "minimum": 5, "maximum": 1}'
        found = finish(engine, ask(schema=schema))["1"]
    assert isinstance(found, Failure)
    assert (found.kind, server.bodies) == ("constraint", [])


def test_a_model_without_structured_outputs_gets_no_schema() -> None:
    info = {"capabilities": {"structured_outputs": {"supported": False}}}
    with asking(good("{}"), info) as (server, engine):
        found = finish(engine, ask(schema='{"type": "object", "properties": {}}'))["1"]
    assert isinstance(found, Completion)
    assert found.samples[0].unkept == ("the schema",)
    assert "output_config" not in server.bodies[0]


def test_images_are_sent_by_url_or_as_data() -> None:
    images = ("https://example.com/a.png", "data:image/png;base64,AAAA")
    with asking(good()) as (server, engine):
        finish(engine, evolve(ask(), messages=(Message("user", "What?", images),)))
    url, data, text = server.bodies[0]["messages"][0]["content"]
    assert url == {"type": "image", "source": {"type": "url", "url": images[0]}}
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    assert data == {"type": "image", "source": source}
    assert text == {"type": "text", "text": "What?"}


def test_a_model_writes_no_more_than_it_can() -> None:
    with asking(from_engine(FakeEngine(), most=20)) as (server, engine):
        finish(engine, ask("1", sampling={"max_tokens": 90}))
        finish(engine, ask("2", sampling={"max_tokens": 90}))
    assert [one["max_tokens"] for one in server.bodies] == [90, 20, 20]
    with asking(from_engine(FakeEngine(), most=20), {"max_tokens": 20}) as (server, engine):
        finish(engine, ask("1", sampling={"max_tokens": 90}))
    assert [one["max_tokens"] for one in server.bodies] == [20]


def test_a_reply_is_bounded_by_the_room_beside_its_prompt() -> None:
    too_much = invalid("input length and `max_tokens` exceed context limit: 90 + 20 > 100")
    with asking(in_turn(too_much, good("a", "max_tokens"))) as (server, engine):
        found = finish(engine, ask(sampling={"max_tokens": 20}))["1"]
    assert [one["max_tokens"] for one in server.bodies] == [20, 10]
    assert isinstance(found, Completion)
    assert (found.samples[0].finish, found.samples[0].context) == ("length", 0)


# ---------------------------------------------------------------- replies

REASONS = {
    "end_turn": ("stop", None),
    "stop_sequence": ("stop", None),
    "max_tokens": ("length", None),
    "model_context_window_exceeded": ("length", 0),
}


@pytest.mark.parametrize("reason", REASONS)
def test_stop_reasons(reason: str) -> None:
    found = answer_to(good("a", reason))
    assert isinstance(found, Completion)
    assert (found.samples[0].finish, found.samples[0].context) == REASONS[reason]


@pytest.mark.parametrize("reason", ["refusal", "tool_use", "pause_turn"])
def test_a_refusal_is_a_sample_without_a_reply(reason: str) -> None:
    found = answer_to(good("", reason))
    assert isinstance(found, Completion)
    assert reason in found.samples[0].refusal
    with asking(good("", reason)) as (_, engine):
        (result,) = chain("E:m").map(["q"], engine=engine)
    assert result.failure is not None
    assert result.failure.cause == "refused"


def test_tokens_of_the_cache_are_part_of_the_prompt() -> None:
    counts = {"input_tokens": 5, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 7}
    found = answer_to(good("a", output=3, **counts), count=2)
    assert isinstance(found, Completion)
    assert found.usage == Usage(2, 84, 60, 6)
    assert [one.tokens for one in found.samples] == [3, 3]


def test_reasoning_is_apart_from_the_reply() -> None:
    options = {"thinking": {"type": "adaptive"}}
    told = as_events(reply("42", thinking="6 x 7"))
    with asking(lambda body: told if "stream" in body else as_json(reply("42", thinking="6 x 7")),
                **options) as (server, engine):  # fmt: skip
        warm = {"temperature": 1.0}
        quiet = finish(engine, ask(sampling=warm))["1"]
        engine.submit([ask("2", stream=True, sampling=warm)])
        heard: dict[str, str] = {}
        while "2" not in heard:
            for one in engine.step():
                if isinstance(one, Delta):
                    heard[one.kind] = heard.get(one.kind, "") + one.text
                else:
                    heard["2"] = str(type(one).__name__)
    assert isinstance(quiet, Completion)
    assert (quiet.samples[0].text, quiet.samples[0].reasoning) == ("42", "6 x 7")
    assert heard == {"reasoning": "6 x 7", "text": "42", "2": "Completion"}
    assert server.bodies[0]["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize("document", [
    {}, [], {"content": 1, "stop_reason": "end_turn"}, {"content": [1], "stop_reason": "end_turn"},
    {"content": [{"type": "text"}], "stop_reason": "end_turn"},
    {"content": [{"type": "text", "text": "a"}]},
    {"content": [{"type": "text", "text": "a"}], "stop_reason": "later"},
    {"content": [], "stop_reason": "end_turn", "usage": {"input_tokens": "many"}},
])  # fmt: skip
def test_a_response_of_another_shape_is_tried_again(document: Any) -> None:
    with asking(in_turn(as_json(document), good("a"))) as (server, engine):
        assert texts(finish(engine, ask())["1"]) == ["a"]
    assert len(server.bodies) == 2


# ---------------------------------------------------------------- errors

ERRORS = {
    "overloaded": (failing(529, "overloaded_error", "Overloaded"), "transport"),
    "busy": (failing(429, "rate_limit_error", "slow down"), "transport"),
    "broken": (failing(500, "api_error", "oops"), "transport"),
    "unpaid": (failing(402, "billing_error", "no money"), "denied"),
    "poor": (invalid("Your credit balance is too low to access the API."), "denied"),
    "denied": (failing(403, "permission_error", "not you"), "denied"),
    "long": (invalid("prompt is too long: 210 tokens > 200 maximum"), "context"),
    "large": (failing(413, "request_too_large", "Request exceeds the size"), "context"),
    "filtered": (invalid("Output blocked by content filtering policy"), "refused"),
    "wrong": (invalid("messages: at least one message is required"), "refused"),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_have_the_kind_of_their_type(name: str, streamed: bool) -> None:
    whole, kind = ERRORS[name]
    if streamed:  # after the status 200, as an event
        line = f"event: error\ndata: {whole.body.decode()}\n\n".encode()
        whole = Answer(line, type="text/event-stream")
    found = answer_to(lambda _: whole, stream=streamed)
    assert isinstance(found, Failure)
    assert (found.kind, found.transient) == (kind, kind == "transport")


def test_it_waits_as_long_as_the_server_asks_for() -> None:
    clock = Clock()
    busy = failing(429, "rate_limit_error", "slow down", **{"retry-after": "7"})
    with asking(in_turn(busy, good("a")), retry=policy(clock)) as (_, engine):
        assert texts(finish(engine, ask())["1"]) == ["a"]
    assert clock.waits == [7.5]


def test_a_stream_that_breaks_off_goes_on_with_the_next_attempt() -> None:
    whole = as_events(reply("one two three four"))
    cut = as_events(reply("one two three four"), cut=len(whole.body) // 2)
    with asking(in_turn(cut, whole)) as (_, engine):
        engine.submit([ask(stream=True)])
        heard, done = "", False
        while not done:
            for one in engine.step():
                heard += one.text if isinstance(one, Delta) else ""
                done |= isinstance(one, Completion)
    assert heard == "one two three four"


# ---------------------------------------------------------------- before the first row


def test_a_wrong_key_is_reported_at_once_and_never_shown() -> None:
    with pytest.raises(EngineError, match="rejects the API key") as caught:
        answer_to(good(), options={"api_key": "sk-ant-wrong"})
    assert "sk-ant-wrong" not in str(caught.value)
    with pytest.raises(EngineError, match=r"requires an API key[^$]*ANTHROPIC_API_KEY"):
        answer_to(good(), options={"api_key": None})


def test_an_unknown_model_is_reported_at_once() -> None:
    with MessagesServer(good()) as server:
        engine = AnthropicEngine("claude-9", base_url=server.url, api_key=KEY)
        with pytest.raises(EngineError, match="has no model 'claude-9'"):
            engine.probe()
        short = AnthropicEngine(MODEL, base_url=server.url[:-3], api_key=KEY)
        with pytest.raises(EngineError, match=rf'write base_url="{server.url}"'):
            short.probe()


def test_what_the_api_lacks_is_refused_before_the_run() -> None:
    with asking(good()) as (server, engine):
        for text, why in {
            "E:m:1.5": "takes no temperature of 1.5 for 'm'",
            "E:m(logprobs=true)": "does not return logprobs",
            "E:m(presence_penalty=1)": "does not take presence_penalty",
            r'E:m(stop="\n")': "takes no stop of blanks alone",
        }.items():
            with pytest.raises(ChainlangError, match=why):
                chain(text)("q", engine=engine)
    assert server.bodies == []
    with (
        asking(good(), thinking={"type": "adaptive"}) as (_, thinks),
        pytest.raises(ChainlangError, match=r"takes no temperature of 0.5 for 'm'\n[^$]*write 1"),
    ):
        chain("E:m:0.5")("q", engine=thinks)


def test_a_file_declares_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with MessagesServer(from_engine(FakeEngine(answers={"": "42"}))) as server:
        made = load(text=f"""
model big = anthropic("{MODEL}", base_url="{server.url}", api_key=env("ANTHROPIC_API_KEY"))
main = 3:E:big:0.7 >> M
""")  # fmt: skip
        assert made("What is 6 x 7?").answer == "42"
    assert len(server.bodies) == 3


def test_a_typed_op_gets_its_reply() -> None:
    made = load(
        text="""
op rate : generate -> { score: int(1..3), sure: bool } { user = "{{ query }}" }
main = rate:m
"""
    )
    with asking(from_engine(FakeEngine())) as (_, engine):
        assert made("q", engine=engine)["score"] in (1, 2, 3)


@pytest.mark.parametrize("status", [400, 403, 529])
def test_a_key_is_in_no_file_and_no_message_of_a_run(
    status: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The server repeats the key in each error."""
    caplog.set_level("DEBUG")
    told = failing(status, "api_error", f"the key {KEY} is not liked")
    with asking(lambda _: told, retry=policy(attempts=1)) as (_, engine):
        summary = chain("E:m").run(["a", "b"], tmp_path, engine=engine, patience=0)
        assert KEY not in repr(engine)
    assert summary.failed == 2
    files = [one for one in tmp_path.rglob("*") if one.is_file()]
    assert not any(KEY.encode() in one.read_bytes() for one in files)
    assert "[API key]" in (tmp_path / "errors.jsonl").read_text()
    assert KEY not in caplog.text

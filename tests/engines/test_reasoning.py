"""Models that think, on servers: reasoning in a field, or in the text by the tags of a parser."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st

from chainlang import chain, load
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.engines.openai.reasoning import DeltaSplitter, apart
from chainlang.errors import ChainlangError, EngineError
from chainlang.protocol.messages import Completion, Delta, Sample
from tests.engines.server import Server, as_events, as_json, chat_reply
from tests.engines.test_openai import ask, policy
from tests.laws import law

THINK = ("<think>", "</think>")
REPLIES = {
    "<think>\n7 + 5\n</think>\n\n42": ("7 + 5", "42"),
    "7 + 5</think>42": ("7 + 5", "42"),  # the template begins the reasoning
    "<think>\n\n</think>\n\n42": ("", "42"),
    " <think>7 + 5": ("7 + 5", ""),
    "42": ("", "42"),
    "a < b, as </thi is no tag": ("", "a < b, as </thi is no tag"),
    "<think>a</think>b</think>c": ("a", "b</think>c"),
}


def finish(engine: OpenAIEngine, **more: Any) -> tuple[Sample, dict[str, str]]:
    """Return the sample of a request, and what was streamed of it by kind."""
    engine.submit([ask(**more)])
    streamed: dict[str, str] = {}
    while True:
        for one in engine.step():
            if isinstance(one, Completion):
                return one.samples[0], streamed
            assert isinstance(one, Delta), one
            streamed[one.kind] = streamed.get(one.kind, "") + one.text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("text", REPLIES)
def test_reasoning_in_the_text_is_told_by_its_tags(text: str, stream: bool) -> None:
    make = as_events if stream else as_json
    with Server(lambda _: make(chat_reply(text))) as server:
        engine = OpenAIEngine(base_url=server.url, retry=policy(), reasoning="qwen3")
        sample, streamed = finish(engine, stream=stream)
        engine.close()
    assert (sample.reasoning, sample.text) == REPLIES[text]
    for kind, whole in (("reasoning", sample.reasoning), ("text", sample.text)):
        assert whole.startswith(streamed.get(kind, ""))


def test_without_a_parser_the_text_is_the_servers() -> None:
    with Server(lambda _: as_json(chat_reply("<think>7</think>42"))) as server:
        engine = OpenAIEngine(base_url=server.url, retry=policy())
        sample, _ = finish(engine)
        engine.close()
    assert (sample.reasoning, sample.text) == ("", "<think>7</think>42")


@law(st.lists(st.sampled_from(["<think>", "</think>", "</thi", "\n", "7", " + ", "<"])))
def test_a_stream_says_what_the_whole_reply_says(pieces: list[str]) -> None:
    told: dict[str, str] = {}

    def hear(sample: int, text: str, kind: str) -> None:
        told[kind] = told.get(kind, "") + text

    splitter = DeltaSplitter(THINK, hear)
    for piece in pieces:
        splitter(0, piece, "text")
    whole = apart(Sample("".join(pieces), "stop", 1), THINK)
    assert whole.reasoning.startswith(told.get("reasoning", ""))
    assert whole.text.startswith(told.get("text", ""))


def test_arguments_of_the_template_are_sent_those_of_the_stage_first() -> None:
    text = """
    model m = openai("m", base_url=env("CHAINLANG_URL"), template_args={"a": 1, "b": {"c": [2]}})
    main = E:m & E:m(template_args={"a": false, "enable_thinking": true})
    """
    with Server(lambda _: as_json(chat_reply("42"))) as server, pytest.MonkeyPatch.context() as one:
        one.setenv("CHAINLANG_URL", server.url)
        load(text=text)("q")
    sent = [body["chat_template_kwargs"] for body in server.bodies]
    first = {"a": 1, "b": {"c": [2]}}
    assert sorted(sent, key=len) == [first, {**first, "a": False, "enable_thinking": True}]


def test_openai_has_no_template() -> None:
    with pytest.raises(EngineError, match="takes no arguments of a chat template"):
        OpenAIEngine("gpt", api_key="sk-1", template_args={"enable_thinking": False})
    engine = OpenAIEngine("gpt", api_key="sk-1")
    with pytest.raises(EngineError, match="does not take template_args"):
        chain('E:m(template_args={"enable_thinking": false})')("q", engine=engine)


def test_what_is_set_is_in_the_fingerprint() -> None:
    made = [
        OpenAIEngine("m", base_url="http://127.0.0.1:9/v1", **given).fingerprint
        for given in ({}, {"reasoning": "qwen3"}, {"template_args": {"b": 1, "a": 2}})
    ]
    assert made[1] == {**made[0], "reasoning": "qwen3"}
    assert made[2] == {**made[0], "template_args": '{"a": 2, "b": 1}'}


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ('reasoning="qwen"', "the name of a reasoning parser"),
        ("template_args=3", "a table of arguments of the chat template"),
        ('template_args={"tokenize": true}', "a table of arguments of the chat template"),
        ('template_args={"return_tensors": "pt"}', "a table of arguments of the chat template"),
    ],
)
def test_settings_that_cannot_be_are_errors_of_the_file(setting: str, why: str) -> None:
    for engine in ("openai", "vllm"):
        with pytest.raises(ChainlangError, match=why):
            load(text=f'model m = {engine}("m", {setting}) main = E:m')


@pytest.mark.parametrize("setting", ["", ', reasoning="qwen3"'])
def test_a_model_that_thinks_has_room_for_it(setting: str) -> None:
    text = f"""
    model m = openai("m", base_url=env("CHAINLANG_URL"){setting})
    main = E:m & E:m(max_tokens=9) & E:m
    """
    with Server(lambda _: as_json(chat_reply("42"))) as server, pytest.MonkeyPatch.context() as one:
        one.setenv("CHAINLANG_URL", server.url)
        load(text=text)("q")
    most = 16_384 if setting else 1024
    assert sorted(body["max_tokens"] for body in server.bodies) == [9, most, most]


def test_the_notation_prints_arguments_as_it_reads_them() -> None:
    text = 'E:m(template_args={"enable_thinking": false, "effort": ["low", 1]})'
    assert str(chain(text)) == text

"""Sampling options on vLLM: each acts on the tokens, or says what became of them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from chainlang.engines.protocol import Engine
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.protocol.messages import Failure, Sample
from tests.conformance.asking import ask, replies, samples


@pytest.fixture
def engine(tiny_engine: Engine) -> VllmEngine:
    assert isinstance(tiny_engine, VllmEngine)
    return tiny_engine


def one(engine: VllmEngine, **fields: Any) -> Sample:
    return samples(engine, ask(**{"temperature": 0.0, **fields}))[0]


def test_a_bias_makes_a_token_certain_or_impossible(engine: VllmEngine) -> None:
    plain = one(engine)
    first = plain.text[0]
    assert not one(engine, logit_bias=((first, -100.0),)).text.startswith(first)
    number = engine.reader.token_id("7")
    for token in ("7", f"#{number}"):
        assert one(engine, logit_bias=((token, 100.0),), max_tokens=3).text == "777"


def test_a_text_of_several_tokens_has_no_bias(engine: VllmEngine) -> None:
    (reply,) = replies(engine, ask(logit_bias=(("17 and 25", 1.0),)))
    assert isinstance(reply, Failure)
    assert "tokens" in reply.message


def test_bad_words_are_not_generated(engine: VllmEngine) -> None:
    plain = one(engine)
    word = plain.text[0]
    assert word not in one(engine, bad_words=(word,)).text


def test_a_sample_says_which_stop_ended_it(engine: VllmEngine) -> None:
    plain = one(engine)
    last = plain.text[-1]
    cut = one(engine, stop=("no such", last))
    assert (cut.stop, cut.text) == (last, plain.text[: plain.text.index(last)])
    kept = one(engine, stop=(last,), include_stop=True)
    assert kept.text == cut.text + last
    by_id = one(engine, stop_token_ids=(plain.token_ids[0],))
    assert (by_id.stop, by_id.finish) == (plain.token_ids[0], "stop")
    assert plain.stop is None


def test_the_end_of_the_model_can_be_ignored(engine: VllmEngine) -> None:
    assert one(engine).finish == "stop"
    longer = one(engine, ignore_eos=True, max_tokens=16)
    assert (longer.finish, longer.tokens) == ("length", 16)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_likeliest_tokens(engine: VllmEngine, temperature: float) -> None:
    fields: dict[str, Any] = {"temperature": temperature, "logprobs": True, "count": 1}
    (found,) = samples(engine, ask(top_logprobs=3, **fields))
    (plain,) = samples(engine, ask(**fields))
    assert (found.text, found.logprobs) == (plain.text, plain.logprobs)
    assert len(found.top_logprobs) == found.tokens
    for own, position in zip(found.logprobs, found.top_logprobs, strict=True):
        (_, sampled), *likely = position
        assert sampled == own
        assert len(likely) == 3
        assert [pair[1] for pair in likely] == sorted((pair[1] for pair in likely), reverse=True)
        assert sum(math.exp(pair[1]) for pair in likely) <= 1 + 1e-6
    if temperature == 0:
        assert all(position[0] == position[1] for position in found.top_logprobs)

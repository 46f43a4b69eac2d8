"""Options that only some engines have: on each engine that declares one, it acts."""

from __future__ import annotations

import math
from typing import Any

import pytest

from chainlang import tiny
from chainlang.engines.protocol import Engine
from chainlang.ir.sampling_options import DECLARED
from chainlang.protocol.messages import Completion, Sample
from tests.conformance.asking import ask, replies, samples
from tests.conformance.engines import Kind

ONLY_HASHED = frozenset({"top_k", "min_p", "min_tokens", "repetition_penalty", "extra"})
"""Options that the fake engine has in the hash of a reply, and does nothing else with; so has the
test server of the anthropic engine."""


def needs(engine: Engine, option: str) -> None:
    """Skip a test of what the engine declares that it lacks, or has in a hash alone."""
    name = engine.capabilities.name
    unseen = name in ("anthropic", "fake") and option in ONLY_HASHED
    if option not in engine.capabilities.options or unseen:
        pytest.skip(f"{name} has no {option} to see")


def token_id(engine: Engine, text: str) -> int:
    """Return the id of a token of the engine's model."""
    if engine.reader is not None:
        return engine.reader.token_id(text)
    from chainlang.engines.vllm.prompt_reader import reader

    return reader(tiny.path()).token_id(text)  # the server has the same model


def one(engine: Engine, **fields: Any) -> Sample:
    """Return a greedy sample; on the fake engine of a script, which no option changes."""
    if engine.capabilities.name == "fake" and "logit_bias" not in fields:
        fields["text"] = "Count!"
    return samples(engine, ask(**{"temperature": 0.0, **fields}))[0]


def test_it_declares_what_its_kind_has(engine: Engine, kind: Kind) -> None:
    """Without this, an engine that declares nothing would pass by skipping."""
    assert DECLARED - set(engine.capabilities.options) == kind.options_lacking


def test_logit_bias(engine: Engine) -> None:
    needs(engine, "logit_bias")
    token = f"#{token_id(engine, '7')}"
    assert one(engine, logit_bias=((token, 100.0),), max_tokens=1).text == "7"
    assert "7" not in one(engine, logit_bias=((token, -100.0),)).text


def test_bad_words(engine: Engine) -> None:
    needs(engine, "bad_words")
    word = one(engine).text[0]
    assert word not in one(engine, bad_words=(word,)).text


def test_stops(engine: Engine) -> None:
    needs(engine, "include_stop")
    text = one(engine).text
    stop = text[-1]
    cut = one(engine, stop=(stop,))
    assert (cut.text, cut.stop, cut.finish) == (text[: text.index(stop)], stop, "stop")
    assert one(engine, stop=(stop,), include_stop=True).text == cut.text + stop


def test_stop_token_ids(engine: Engine) -> None:
    needs(engine, "stop_token_ids")
    whole = one(engine).text
    first = token_id(engine, whole[:4] if engine.capabilities.name == "fake" else whole[0])
    stopped = one(engine, stop_token_ids=(first,))
    assert (stopped.text, stopped.stop, stopped.finish) == ("", first, "stop")


def test_ignore_eos(engine: Engine) -> None:
    needs(engine, "ignore_eos")
    assert one(engine, max_tokens=100).finish == "stop"
    longer = one(engine, max_tokens=100, ignore_eos=True)
    assert (longer.finish, longer.tokens) == ("length", 100)


def test_the_likeliest_tokens(engine: Engine) -> None:
    needs(engine, "top_logprobs")
    found = one(engine, logprobs=True, top_logprobs=3, temperature=1.0)
    assert len(found.top_logprobs) == len(found.logprobs) > 0
    for own, (sampled, *likely) in zip(found.logprobs, found.top_logprobs, strict=True):
        assert sampled[1] == own
        assert len(likely) == 3
        assert likely == sorted(likely, key=lambda pair: -pair[1])
    shown = "".join(position[0][0] for position in found.top_logprobs)
    assert found.text in shown


def test_top_k_of_one_is_greedy(engine: Engine) -> None:
    needs(engine, "top_k")
    greedy = one(engine).text
    drawn = samples(engine, ask(temperature=1.5, top_k=1, count=4))
    assert {sample.text for sample in drawn} == {greedy}


def test_min_p_of_one_is_greedy(engine: Engine) -> None:
    needs(engine, "min_p")
    greedy = one(engine).text
    drawn = samples(engine, ask(temperature=1.5, min_p=1.0, count=4))
    assert {sample.text for sample in drawn} == {greedy}


def test_min_tokens(engine: Engine) -> None:
    needs(engine, "min_tokens")
    assert one(engine, max_tokens=30).tokens < 20
    assert one(engine, max_tokens=30, min_tokens=20).tokens >= 20


def test_labels(engine: Engine) -> None:
    needs(engine, "choices")
    schema = '{"enum": ["yes", "no"]}'
    (reply,) = replies(engine, ask(schema=schema, labels=('"yes"', '"no"'), count=2))
    assert isinstance(reply, Completion)
    for sample in reply.samples:
        assert math.fsum(sample.labels) == pytest.approx(1)
        assert len(sample.labels) == 2
    (plain,) = replies(engine, ask(schema=schema, count=2))
    assert isinstance(plain, Completion)
    assert [one.text for one in plain.samples] == [one.text for one in reply.samples]

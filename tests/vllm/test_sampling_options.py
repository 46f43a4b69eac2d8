"""Sampling options on vLLM: each acts on the tokens, or says what became of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from chainlang import load
from chainlang.engines.protocol import Engine
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.protocol.messages import Completion, Failure, Message, Sample
from tests.conformance.asking import ask, completion, replies, samples


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


LABELS = ('"pos"', '"neg"', '"positive"')
SCHEMA = '{"enum": ["pos", "neg", "positive"]}'


def scored(engine: VllmEngine, reply: str) -> float:
    """Return the log-probability of a whole reply, from the tokens that a bias makes certain."""
    words = engine._model.prompts
    total = 0.0
    ids = [*words.text_ids(reply), words.end_id]
    prompt = words.token_ids((Message("user", "Which?"),))
    from vllm.sampling_params import SamplingParams

    assert engine._loaded is not None
    for index, token in enumerate(ids):
        name = f"oracle-{reply}-{index}"
        params = SamplingParams(temperature=0, max_tokens=1, logprobs=1)
        params.logprob_token_ids = [token]
        given = {"type": "token", "prompt_token_ids": [*prompt, *ids[:index]]}
        engine._loaded.engine.add_request(name, given, params)
        outputs = []
        while not outputs:
            outputs = engine._loaded.engine.step()
        total += outputs[0].outputs[0].logprobs[0][token].logprob
    return total


@pytest.mark.parametrize("count", [1, 3])
def test_labels_have_the_probability_of_their_whole_reply(engine: VllmEngine, count: int) -> None:
    asked = ask("Which?", labels=LABELS, schema=SCHEMA, count=count, temperature=1.0)
    beside = ask("Count!", logprobs=True)
    (alone,) = samples(engine, ask("Count!", logprobs=True))
    first, second = replies(engine, asked, beside)
    assert isinstance(first, Completion)
    assert isinstance(second, Completion)
    assert second.samples[0].logprobs == pytest.approx(alone.logprobs, abs=1e-4)
    assert len({one.labels for one in first.samples}) == 1
    odds = [math.exp(scored(engine, label)) for label in LABELS]
    wanted = [one / sum(odds) for one in odds]
    assert first.samples[0].labels == pytest.approx(wanted, rel=1e-3)
    plain = completion(engine, ask("Which?", schema=SCHEMA, count=count, temperature=1.0))
    assert [one.text for one in plain.samples] == [one.text for one in first.samples]
    words = engine.reader.prompts
    read = [len(words.token_ids(asked.messages)) + len(words.text_ids(it)) + 1 for it in LABELS]
    assert first.usage.prompt_tokens == plain.usage.prompt_tokens + sum(read)


def test_labels_of_an_aborted_request_are_dropped(engine: VllmEngine) -> None:
    asked = ask("Which?", labels=LABELS, max_tokens=60)
    engine.submit([asked])
    engine.abort([asked.id])
    assert not engine._scoring.owners
    assert samples(engine, ask())


def test_a_label_that_does_not_fit_the_context(model: Path) -> None:
    small = VllmEngine(model, max_model_len=64, max_num_seqs=2)
    (reply,) = replies(small, ask("x" * 30, labels=("x" * 60, "y")))
    small.close()
    assert isinstance(reply, Failure)
    assert reply.kind == "context"


def test_a_chain_has_the_probability_of_each_label(engine: VllmEngine) -> None:
    text = 'op pick : generate -> "yes" | "no" { user = "{{ query }}" choices = true }\nmain = pick'
    (one,) = load(text=text)("Is 2 + 2 = 4?", engine=engine).candidates
    assert one.choices.keys() == {"yes", "no"}
    assert sum(one.choices.values()) == pytest.approx(1)

"""Budgets of fields on vLLM: a free text in a typed reply is closed, and the rest generated."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chainlang import load
from chainlang.engines.protocol import Engine
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.engines.vllm.in_flight import over
from chainlang.protocol.messages import Completion, Message, Request, Sample, Sampling
from chainlang.semantics.continuing import whole

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("why", "more", "then")},
        "required": ["why", "more", "then"],
        "additionalProperties": False,
    }
)


@pytest.fixture
def engine(tiny_engine: Engine) -> VllmEngine:
    assert isinstance(tiny_engine, VllmEngine)
    tiny_engine.load()
    return tiny_engine


def request(count: int = 1, **changes: Any) -> Request:
    sampling = Sampling(temperature=changes.pop("temperature", 1.5), max_tokens=200)
    prompt = (Message("user", "What is 17 + 25?"),)
    fields: dict[str, Any] = {"schema": SCHEMA, "count": count, "seed": 5, **changes}
    return Request(id="1", model="m", messages=prompt, sampling=sampling, **fields)


def complete(engine: VllmEngine, one: Request) -> Completion:
    engine.submit([one])
    while True:
        for reply in engine.step():
            assert isinstance(reply, Completion), reply
            return reply


def drawn(engine: VllmEngine, one: Request) -> Sample:
    """Return a whole sample."""
    reply = whole(lambda each: complete(engine, each), one)
    assert isinstance(reply, Completion)
    return reply.samples[0]


def test_each_field_ends_at_its_budget(engine: VllmEngine) -> None:
    budgets = (("why", 6), ("more", 9), ("then", 12))
    for seed in range(3):
        sample = drawn(engine, request(seed=seed, budgets=budgets))
        reply = json.loads(sample.text)
        assert list(reply) == ["why", "more", "then"]
        assert sample.finish == "stop"
        assert len(sample.token_ids) == sample.tokens <= 6 + 9 + 12 + 12
        for name, budget in budgets:
            said = reply[name].replace("<think>", "?").replace("</think>", "?")  # one token each
            assert len(engine.reader.prompts.text_ids(said)) <= budget + 2
        again = drawn(engine, request(seed=seed, budgets=budgets))
        assert again == sample


def test_a_sample_within_its_budgets_is_the_same_as_without(engine: VllmEngine) -> None:
    free = complete(engine, request(4, temperature=0.7))
    bound = complete(engine, request(4, temperature=0.7, budgets=(("why", 190),)))
    assert [one.text for one in free.samples] == [one.text for one in bound.samples]
    assert [one.token_ids for one in free.samples] == [one.token_ids for one in bound.samples]


def test_one_sample_is_that_of_several(engine: VllmEngine) -> None:
    several = complete(engine, request(3, budgets=(("why", 6),)))
    for number, sample in enumerate(several.samples):
        assert complete(engine, request(seed=5 + number, budgets=(("why", 6),))).samples == (
            sample,
        )
        assert sample.finish == ("budget" if sample.closed_fields else "stop")


def test_a_stage_has_an_event_for_each_field_that_was_closed(engine: VllmEngine) -> None:
    made = load(
        text="""
    op say : generate -> { why: str, sure: bool, then: str } {
      budget = { why = 5, then = 7 } temperature = 1.5 user = "{{ query }}" max_tokens = 90
    }
    main = 4:say
    """
    )
    result = made("What is 17 + 25?", engine=engine)
    assert result.ok, result.failure
    assert {one.kind for one in result.events} == {"closed"}
    assert result.usage.calls == 4
    assert made("What is 17 + 25?", engine=engine).trace == result.trace


def test_the_last_text_ends_where_the_reply_would_be_cut(engine: VllmEngine) -> None:
    budgets = (("why", 20), ("then", 190))
    for seed in range(3):
        sample = drawn(engine, request(seed=seed, budgets=budgets, temperature=2.0))
        assert sample.finish == "stop" or "then" not in sample.text
        if sample.finish == "stop":
            assert list(json.loads(sample.text)) == ["why", "more", "then"]


def test_the_last_text_of_a_reply_that_was_cut_is_closed_below_its_budget() -> None:
    tokens = ['{"why": ', '"', "a", '", "then": ', '"', "b", "c", "\\"]

    def spelled(count: int) -> str:
        return "".join(tokens[:count])

    assert over(spelled, len(tokens), "then", 7) is None
    assert over(spelled, len(tokens), "then", 7, is_last=True) == 7  # not within an escape


@pytest.mark.parametrize(
    ("tokens", "budget", "stop"),
    [
        (['{"why": ', '"', "a", "b", "c"], 3, 4),
        (['{"why": ', '"', "a", 'b"', ', "more"'], 3, None),
        (['{"why": ', '"', "a", "b", 'c"', ', "more"'], 3, 4),
        (['{"why": ', '"', "a", "\\", "n", "b"], 3, 3),
        (['{"why": ', '"', "a", "b"], 4, None),
        (['{"a', '": 1, ', '"why": "x', "y", "z"], 2, 4),
    ],
)
def test_where_a_field_is_closed(tokens: list[str], budget: int, stop: int | None) -> None:
    def spelled(count: int) -> str:
        return "".join(tokens[:count])

    assert over(spelled, len(tokens), "why", budget) == stop

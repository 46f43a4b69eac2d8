"""A reply of which only one is left may end: what engines that do so have to keep to."""

from __future__ import annotations

import json

import pytest

from chainlang.datatypes import enumerate_values
from chainlang.datatypes.json_schema import json_schema
from chainlang.engines.fake import FakeEngine
from chainlang.engines.protocol import Engine
from chainlang.notation import parse_file
from chainlang.protocol.messages import Completion, Delta
from tests.conformance.asking import ask, completion, samples

FEW = (
    '"positive" | "negative" | "nothing"',
    '{ verdict: "correct" | "incorrect", sure: bool? }',
    "{ one: 1 | true, of: int(10..12), to: int(1..1) }",
)


@pytest.mark.parametrize("type_", FEW)
def test_a_reply_that_is_decided_may_end(engine: Engine, type_: str) -> None:
    op = parse_file(f"op a : fold -> {type_} {{}}").node.items[0]
    schema, few = json_schema(op.returns), enumerate_values.replies(op.returns)  # type: ignore[attr-defined]
    fewer = 0
    asked = [(1, 40), (3, 3), (3, 12), (3, 40)] if engine.capabilities.decides else [(1, 40)]
    for count, most in asked:
        drawn = {"schema": schema, "count": count, "max_tokens": most, "lenient": True}
        if not engine.capabilities.seeds:
            continue  # nothing to compare
        whole, ended = samples(engine, ask(**drawn)), samples(engine, ask(choices=few, **drawn))
        for one, other in zip(whole, ended, strict=True):
            assert (one.finish, one.unkept) == (other.finish, other.unkept)
            if one.finish == "stop":
                assert json.loads(one.text) == json.loads(other.text)
            assert other.tokens <= one.tokens
            assert one.token_ids[: other.tokens] == other.token_ids
            fewer += one.tokens - other.tokens
    assert bool(fewer) == engine.capabilities.decides
    assert completion(engine, ask())  # and nothing of what was ended is left


def test_a_reply_that_is_decided_is_streamed_as_a_whole(engine: Engine) -> None:
    asked = ask(
        schema='{"enum": ["positive", "negative"]}',
        choices=('"positive"', '"negative"'),
        stream=True,
        count=3,
    )
    engine.submit([asked])
    told, reply = dict.fromkeys(range(3), ""), None
    while reply is None:
        for one in engine.step():
            if isinstance(one, Delta):
                told[one.sample] += one.text
            else:
                reply = one
    assert isinstance(reply, Completion)
    for number, sample in enumerate(reply.samples):
        assert sample.text.startswith(told[number])
        assert sample.text in {'"positive"', '"negative"'} or not engine.capabilities.schemas


def test_a_reply_that_is_not_held_to_its_schema_does_not_end(engine: Engine) -> None:
    schema, few = (
        '{"enum": ["positive", "negative"], "uniqueItems": true}',
        ('"positive"', '"negative"'),
    )
    fields = {"schema": schema, "lenient": True, "max_tokens": 40}
    whole, other = completion(engine, ask(**fields)), completion(engine, ask(choices=few, **fields))
    if engine.capabilities.decides:
        assert whole.samples[0].unkept
        assert whole.samples == other.samples


def test_a_scripted_reply_that_is_none_of_the_choices_is_said_whole() -> None:
    for text in ('"positively"', '"positive" I think', "positive"):
        asked = ask(
            schema='{"enum": ["positive", "negative"]}', choices=('"positive"', '"negative"')
        )
        (sample,) = samples(FakeEngine(answers={"": text}), asked)
        assert sample.text == text

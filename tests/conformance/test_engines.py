"""Behaviour that every engine has: see `chainlang.engines.protocol`."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from attrs import asdict, evolve
from pydantic_core import SchemaValidator, ValidationError

from chainlang.datatypes.json_schema import json_schema, validator
from chainlang.engines.protocol import Engine
from chainlang.notation import parse_file
from chainlang.protocol.messages import Completion, Delta, Failure, Message, Request, Usage
from chainlang.semantics.continuing import continuing
from tests.conformance.asking import ask, collect, completion, replies, samples
from tests.conformance.engines import Kind, Place
from tests.hostile import HALF, HOSTILE, HUGE

SHAPES = {
    "enum": '{ verdict: "correct" | "incorrect" }',
    "bounds": "{ score: int(1..5), share: float(0..1) }",
    "text": "{ name: str(2..5) }",
    "list": '{ tags: list["a" | "b"], numbers: list[int(0..9)] }',
    "pattern": r"""{ code: str(r"^[A-Z]{2}-\d{1,3}$"), odd: str('^["\\\\x]+$') }""",
    "lengths": '{ few: list[bool](2..3), one: 1 | true | "x" }',
    "texts": "{ day: date, at: datetime, price: decimal, prices: dict[decimal] }",
    "nested": '{ part: { ok: bool, left: int(-3..3)? }, kind: "x" | "y" }',
}


def shaped(name: str) -> tuple[str, SchemaValidator]:
    """Return the schema of a shape, and what reads a value of it."""
    op = parse_file(f"op a : fold -> {SHAPES[name]} {{}}").node.items[0]
    return json_schema(op.returns), validator(op.returns)  # type: ignore[attr-defined]


def test_each_request_comes_back_once_in_any_order(engine: Engine) -> None:
    asked = [ask(f"What is {n} + {n}?", seed=n, count=1 + n % 3) for n in range(12)]
    together = {one.id: one for one in replies(engine, *asked)}
    shuffled = random.Random(0).sample(asked, len(asked))
    assert {one.id: one for one in replies(engine, *shuffled)}.keys() == together.keys()
    for one in asked:
        reply = together[one.id]
        assert isinstance(reply, Completion)
        assert len(reply.samples) == one.count


def test_a_request_can_be_submitted_while_others_run(engine: Engine) -> None:
    first, second = ask(max_tokens=40), ask("What is 8 - 3?")
    engine.submit([first])
    early = engine.step()
    engine.submit([second])
    missing = {first.id, second.id} - {one.id for one in early}
    assert collect([engine], missing).keys() == missing


def needs(engine: Engine, capability: str) -> None:
    """Skip a test of what the engine declares that it lacks."""
    if not getattr(engine.capabilities, capability):
        pytest.skip(f"{engine.capabilities.name} declares no {capability}")


def test_it_declares_what_its_kind_has(engine: Engine, kind: Kind) -> None:
    """Without this, an engine that declares nothing would pass by skipping."""
    declared = asdict(engine.capabilities)
    assert {name for name, has in declared.items() if has is False} == kind.lacks


def test_nothing_comes_from_nothing(engine: Engine) -> None:
    engine.submit([])
    assert not engine.step()


def test_sample_i_has_the_seed_plus_i(engine: Engine) -> None:
    needs(engine, "seeds")
    together = samples(engine, ask(count=4, seed=1000))
    apart = [samples(engine, ask(seed=1000 + index))[0] for index in range(4)]
    assert [(one.text, one.finish) for one in together] == [(one.text, one.finish) for one in apart]
    assert [one.token_ids for one in together] == [one.token_ids for one in apart]
    assert len({one.text for one in samples(engine, ask(count=12, seed=1))}) > 1


def test_a_field_is_closed_at_its_budget(engine: Engine) -> None:
    needs(engine, "closes")
    fields = {"why": {"type": "string", "minLength": 20}, "sure": {"type": "boolean"}}
    schema = json.dumps(
        {
            "type": "object",
            "properties": fields,
            "required": [*fields],
            "additionalProperties": False,
        }
    )
    one = ask(schema=schema, budgets=(("why", 3),), max_tokens=40, count=3)
    stopped = samples(engine, one)
    assert [(each.finish, each.closed_fields) for each in stopped] == [("budget", ("why",))] * 3
    for number, each in enumerate(stopped):
        (rest,) = samples(engine, evolve(continuing(one, number, each), id=f"rest {number}"))
        said = json.loads(rest.text)
        assert json.loads(f'{each.text}"}}') == {"why": said["why"]}
        assert isinstance(said["sure"], bool)
        assert (rest.finish, rest.closed_fields) == ("stop", ("why",))


@pytest.mark.parametrize("seed", [0, 2**32, 2**48 + 63])
def test_the_same_request_has_the_same_reply(engine: Engine, seed: int) -> None:
    needs(engine, "seeds")
    one = ask(count=2, seed=seed)
    assert samples(engine, one) == samples(engine, one)


def test_a_reply_does_not_depend_on_the_batch(engine: Engine) -> None:
    needs(engine, "batch_invariant")
    asked = [ask(f"What is {n} + 1?", seed=n) for n in range(10)]
    alone = [samples(engine, one) for one in asked]
    for together in (asked, asked[::-1]):
        found = {one.id: one for one in replies(engine, *together)}
        for one, wanted in zip(asked, alone, strict=True):
            reply = found[one.id]
            assert isinstance(reply, Completion)
            assert reply.samples == wanted


def test_at_temperature_0_the_seed_plays_no_part(engine: Engine) -> None:
    greedy = samples(engine, ask(temperature=0, count=3, seed=1))
    assert len(greedy) == 3
    assert len(set(greedy)) == 1
    assert samples(engine, ask(temperature=0, seed=2)) == greedy[:1]


def test_a_stop_string_ends_a_reply_and_is_not_part_of_it(engine: Engine) -> None:
    texts = {seed: samples(engine, ask("Count!", seed=seed))[0].text for seed in range(20)}
    seed, text = next(
        (seed, text) for seed, text in texts.items() if re.search("[A-Za-z0-9]", text)
    )
    stop = re.findall("[A-Za-z0-9]", text)[-1]
    (stopped,) = samples(engine, ask("Count!", seed=seed, stop=("no such text", stop)))
    assert stopped.text == text[: text.index(stop)]
    assert stopped.finish == "stop"


def test_max_tokens_cuts_a_reply(engine: Engine) -> None:
    (cut,) = samples(engine, ask("Count to a thousand.", min_tokens=5, max_tokens=5))
    assert (cut.finish, cut.tokens) == ("length", 5)


def test_max_tokens_may_be_more_than_the_context_leaves(engine: Engine) -> None:
    stop = ("e", "1", "2", *((" ",) if engine.capabilities.blank_stops else ()))
    assert samples(engine, ask(max_tokens=1_000_000, stop=stop))


@pytest.mark.parametrize(
    "fields",
    [
        {"count": 3},
        {"count": 1, "temperature": 0.0},
        {"count": 3, "temperature": 0.0},
        {"count": 2, "stop": ("1",)},
        {"count": 2, "schema": "nested", "max_tokens": 100},
    ],
    ids=str,
)
def test_a_reply_that_is_told_of_as_it_comes_is_the_same_reply(
    engine: Engine, fields: dict[str, Any]
) -> None:
    if "schema" in fields:
        fields = {**fields, "schema": shaped(fields["schema"])[0]}
    quiet = completion(engine, ask(**fields))
    asked = ask(stream=True, **fields)
    engine.submit([asked])
    told: dict[int, str] = {}
    reply: Completion | Failure | None = None
    while reply is None:
        for one in engine.step():
            assert one.id == asked.id
            if isinstance(one, Delta):
                assert one.text
                told[one.sample] = told.get(one.sample, "") + one.text
            else:
                reply = one
    assert isinstance(reply, Completion)
    if engine.capabilities.seeds:
        assert reply.samples == quiet.samples
    if engine.capabilities.streams:
        assert told
    for number, text in told.items():
        assert text == reply.samples[number].text


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("temperature", [0, 1.0])
def test_a_reply_keeps_its_schema(engine: Engine, shape: str, temperature: float) -> None:
    schema, reads = shaped(shape)
    asked = ask(schema=schema, temperature=temperature, count=4, max_tokens=100)
    found = samples(engine, asked)
    # No model here begins so by itself.
    assert all(one.text.startswith("{") for one in found if "the schema" not in one.unkept)
    if engine.capabilities.schemas:
        # Nothing forbids blanks without end between the parts of a reply, so not all are whole.
        assert all(_fits(reads, one.text) for one in found if one.finish == "stop")


def _fits(reads: SchemaValidator, text: str) -> bool:
    try:
        reads.validate_json(text)
    except ValidationError:
        return False
    return True


def test_a_schema_that_can_not_be_kept_fails_alone(engine: Engine, kind: Kind) -> None:
    asked = [ask(schema=one) for one in kind.refused]
    *refused, good = replies(engine, *asked, ask())
    assert isinstance(good, Completion)
    for one, reply in zip(asked, refused, strict=True):
        assert isinstance(reply, Failure), one.schema
        assert (reply.kind, reply.transient) == ("constraint", False)


LEFT_OUT = (
    '{"type": "integer", "multipleOf": 10, "maximum": 5}',
    '{"type": "array", "items": {"type": "boolean"}, "maxItems": 2, "uniqueItems": true}',
    '{"type": "string", "pattern": "^(?=a)[ab]{1,3}$", "maxLength": 9}',
)


@pytest.mark.parametrize("schema", LEFT_OUT)
def test_a_lenient_engine_says_what_it_left_out_of_a_schema(engine: Engine, schema: str) -> None:
    (reply,) = replies(engine, ask(schema=schema, lenient=True, count=2, max_tokens=200))
    if engine.capabilities.schemas:
        assert isinstance(reply, Completion)
        assert all(one.unkept for one in reply.samples)
    else:  # who knows what a server makes of it
        assert isinstance(reply, Completion) or reply.kind == "constraint"


def test_a_schema_that_is_kept_leaves_nothing_out(engine: Engine) -> None:
    schema, _ = shaped("nested")
    found = samples(engine, ask(schema=schema, lenient=True, max_tokens=200))
    assert not any(one.unkept for one in found)


def test_what_is_aborted_never_comes_back(engine: Engine) -> None:
    kept, *others = (ask("Count!", count=2, max_tokens=30, seed=n) for n in range(4))
    engine.submit([others[0], kept, *others[1:]])
    engine.abort([one.id for one in others] + ["unknown"])
    assert collect([engine], [kept.id]).keys() == {kept.id}
    engine.abort([kept.id, "unknown"])
    assert not engine.step()
    assert len(replies(engine, *others)) == len(others)  # an id is free again


def test_a_running_request_can_be_aborted(engine: Engine) -> None:
    running = ask("Count!", count=3, min_tokens=200, max_tokens=200, stream=True)
    engine.submit([running])
    early = engine.step()
    assert {one.id for one in early} <= {running.id}
    engine.abort([running.id])
    assert not engine.step()
    assert completion(engine, ask())


def test_a_prompt_longer_than_the_context_fails_alone(engine: Engine) -> None:
    long, good = replies(engine, ask("word " * 20_000, count=2), ask())
    assert isinstance(good, Completion)
    assert isinstance(long, Failure)
    assert (long.kind, long.transient) == ("context", False)
    assert re.search(r"(context|too long)\D{1,20}\d", long.message)


@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize("count", [1, 5])
def test_usage_counts_what_was_drawn(engine: Engine, temperature: float, count: int) -> None:
    reply = completion(engine, ask(temperature=temperature, count=count))
    usage, tokens = reply.usage, sum(one.tokens for one in reply.samples)
    assert usage.calls == (count if temperature > 0 else 1)
    assert usage.output_tokens * count == tokens * usage.calls
    assert usage.prompt_tokens > 0
    assert usage.prompt_tokens % usage.calls == 0
    assert 0 <= usage.cached_tokens <= usage.prompt_tokens
    for one in reply.samples:
        assert not engine.capabilities.token_ids or len(one.token_ids) == one.tokens


@pytest.mark.parametrize(
    "fields",
    [
        {"count": 3},
        {"count": 2, "temperature": 0.0},
        {"count": 2, "max_tokens": 3, "min_tokens": 3},
        {"count": 2, "schema": "enum", "max_tokens": 100},
    ],
    ids=str,
)
def test_a_sample_tells_how_likely_its_tokens_were(engine: Engine, fields: dict[str, Any]) -> None:
    needs(engine, "logprobs")
    if "schema" in fields:
        fields = {**fields, "schema": shaped(fields["schema"])[0]}
    quiet, telling = samples(engine, ask(**fields)), samples(engine, ask(logprobs=True, **fields))
    if engine.capabilities.seeds:  # it changes nothing else
        assert tuple(evolve(one, logprobs=()) for one in telling) == quiet
    assert not any(one.logprobs for one in quiet)
    assert engine.capabilities.logprobs
    assert all(one.logprobs for one in telling if one.text)
    assert all(number <= 0 for one in telling for number in one.logprobs)
    for one in telling:
        assert not engine.capabilities.token_ids or len(one.logprobs) == one.tokens
    assert sum(len(one.logprobs) for one in telling) == sum(one.tokens for one in telling)


def test_of_greedy_tokens_no_other_was_likelier(engine: Engine) -> None:
    needs(engine, "logprobs")
    if engine.capabilities.name == "fake":
        pytest.skip("it has no model, so no token is likelier")
    (greedy,) = samples(engine, ask(temperature=0, logprobs=True, max_tokens=4, min_tokens=4))
    assert len(greedy.logprobs) == 4
    drawn = samples(engine, ask(count=20, logprobs=True, max_tokens=4, min_tokens=4))
    assert max(one.logprobs[0] for one in drawn) <= greedy.logprobs[0] + 1e-4
    assert len({one.logprobs for one in drawn}) > 1


def test_priorities_are_taken(engine: Engine) -> None:
    asked = [ask(priority=number % 3 - 1, seed=number) for number in range(9)]
    assert all(isinstance(one, Completion) for one in replies(engine, *asked))


@pytest.mark.parametrize("role", ["system", "user", "assistant"])
@pytest.mark.parametrize("name", HOSTILE)
def test_any_text_is_data(engine: Engine, name: str, role: str) -> None:
    messages = (Message(role, HOSTILE[name]), Message("user", HOSTILE[name]))  # type: ignore[arg-type]
    assert samples(engine, ask(messages=messages))


def test_a_value_that_no_model_can_read_harms_no_other_request(engine: Engine) -> None:
    half, huge, good = replies(engine, ask(HALF), ask(HUGE), ask())
    assert isinstance(good, Completion)
    assert isinstance(huge, Failure)
    assert huge.kind == "context"
    assert isinstance(half, Completion) or half.kind == "refused"


def test_two_models_work_side_by_side(engine: Engine, kind: Kind, place: Place) -> None:
    other = kind.other(place)
    try:
        asked = [ask(f"What is {n} + 2?", seed=n, count=2) for n in range(3)]
        alone = [samples(engine, one) for one in asked]
        theirs = [evolve(one, id=f"other-{one.id}") for one in asked]
        engine.submit(asked)
        other.submit(theirs)
        found = collect([engine, other], [one.id for one in (*asked, *theirs)])
        if engine.capabilities.batch_invariant:
            assert [_samples(found, one) for one in asked] == alone
        assert all(len(_samples(found, one)) == one.count for one in theirs)
    finally:
        other.close()
    assert completion(engine, ask())


def _samples(found: dict[str, Completion | Failure], request: Request) -> object:
    reply = found[request.id]
    assert isinstance(reply, Completion)
    return reply.samples


def test_an_engine_closes_twice_and_can_be_made_again(kind: Kind, place: Place) -> None:
    found = []
    for _ in range(2):
        made = kind.other(place)
        found.append(samples(made, ask(count=2)))
        made.submit([ask("Count!", max_tokens=100)])
        made.close()
        made.close()
        assert not made.step()
    assert found[0] == found[1] or not made.capabilities.seeds


def test_its_metrics_are_those_of_what_came_back(engine: Engine) -> None:
    before = engine.metrics
    asked = [ask(f"What is {n} + 2?", seed=n, count=1 + n % 3, max_tokens=8) for n in range(6)]
    found = replies(engine, *asked, ask("word " * 20_000))
    did = engine.metrics - before
    usage = sum((one.usage for one in found if isinstance(one, Completion)), Usage())
    assert did.requests == len(found)
    assert did.usage == usage
    told = (did.steps, did.preemptions, did.retries)
    assert [one is None for one in told] == [
        one is None for one in (before.steps, before.preemptions, before.retries)
    ]
    assert all(number is None or number >= 0 for number in told)
    if engine.capabilities.name == "vllm":  # a sample has a token in each step, and eight at most
        assert 1 <= (did.steps or 0) <= 8 + 1


def test_it_reads_prompts_as_it_counts_them(engine: Engine) -> None:
    if engine.reader is None:
        assert engine.capabilities.name in ("anthropic", "openai")
        pytest.skip("a server reads prompts out of sight")
    for text in ("What is 17 + 25?", "", "<|im_end|> é"):
        for schema in (None, '{"type": "integer"}', shaped("bounds")[0]):
            asked = ask(text, count=2, max_tokens=2, schema=schema)
            read = engine.reader.token_ids(asked.messages, schema)
            assert len(read) * 2 == completion(engine, asked).usage.prompt_tokens

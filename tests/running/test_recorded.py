"""What a memory has is not drawn again, and what comes back is the same either way."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import pytest
from attrs import evolve
from hypothesis import strategies as st

from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import (
    Completion,
    Delta,
    Failure,
    Message,
    Request,
    Sample,
    Sampling,
)
from chainlang.runtime.ports.port import EnginePort, Port, new_id
from chainlang.runtime.ports.recording import RecordedPort
from chainlang.runtime.ports.sample_keys import KEY_FORMATS, format_1, format_2
from chainlang.store.sample_codec import Bounds, Drawn, decoded, encoded
from tests.laws import law

FAKE = {"engine": "fake", "context": 1000}
ONLY_1 = {1: format_1}


def old(request: Request) -> list[bytes]:
    """Return the keys of a request in the first format."""
    return format_1(FAKE)(request).bounded


def whole(request: Request) -> list[bytes]:
    """Return the keys that samples have which ended by themselves."""
    return format_2(FAKE)(request).whole


class Memory(dict[bytes, Drawn]):
    """A memory that is lost with the process, and counts what is put into it."""

    recorded = 0

    def find(self, keys: Iterable[bytes]) -> Mapping[bytes, Drawn]:
        return {key: self[key] for key in keys if key in self}

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        assert not drawn.keys() & self.keys()
        self.recorded += len(drawn)
        self.update(drawn)


REQUESTS = st.builds(
    lambda text, temperature, seed, count, stream: Request(
        id=new_id(),
        model="m",
        messages=(Message("user", text),),
        sampling=Sampling(temperature=temperature, max_tokens=8),
        seed=seed,
        count=count,
        stream=stream,
    ),
    st.sampled_from(["a", "b", "fails"]),
    st.sampled_from([0.0, 0.7]),
    st.integers(0, 6),
    st.integers(1, 6),
    st.booleans(),
)


def fails(request: Request) -> Failure | None:
    return Failure("", "refused", "no") if request.messages[0].text == "fails" else None


def answered(port: Port, requests: list[Request]) -> list[Completion | Failure]:
    port.submit(requests)
    found: dict[str, Completion | Failure] = {}
    told: dict[tuple[str, int], str] = {}
    while len(found) < len(requests):
        for reply in port.step():
            if isinstance(reply, Delta):
                key = (reply.id, reply.sample)
                told[key] = told.get(key, "") + reply.text
            else:
                assert reply.id not in found
                found[reply.id] = reply
    for (name, number), text in told.items():
        reply = found[name]
        assert isinstance(reply, Completion)
        assert reply.samples[number].text == text
    return [found[request.id] for request in requests]


def plain(reply: Completion | Failure) -> object:
    return (reply.samples, reply.usage) if isinstance(reply, Completion) else reply.message


@law(st.lists(st.lists(REQUESTS, min_size=1, max_size=1), max_size=8))
def test_replies_are_the_same_and_nothing_is_drawn_twice(batches: list[list[Request]]) -> None:
    memory = Memory()
    port = RecordedPort(EnginePort(FakeEngine(failures=fails)), memory, FAKE)
    known: set[bytes] = set()
    for batch in batches:
        found = answered(port, batch)
        alone = answered(EnginePort(FakeEngine(failures=fails)), batch)
        assert [plain(reply) for reply in found] == [plain(reply) for reply in alone]
        for request, reply in zip(batch, found, strict=True):
            if isinstance(reply, Completion):
                known |= set(whole(request))
        assert memory.keys() == known
        assert memory.recorded == len(known)


@law(st.lists(REQUESTS, min_size=1, max_size=8))
def test_a_full_memory_asks_no_engine(batch: list[Request]) -> None:
    batch = [request for request in batch if request.messages[0].text != "fails"]
    memory: dict[bytes, Drawn] = {}

    class Kept(Memory):
        def record(self, drawn: Mapping[bytes, Drawn]) -> None:
            memory.update(drawn)

    first = answered(RecordedPort(EnginePort(FakeEngine()), Kept(), FAKE), batch)
    engine = FakeEngine()
    port = RecordedPort(EnginePort(engine), Memory(memory), FAKE)
    assert [plain(one) for one in answered(port, batch)] == [plain(one) for one in first]
    assert engine.submitted == 0


def test_a_sample_that_was_ended_is_not_taken_for_a_whole_one() -> None:
    whole = Request(
        id=new_id(),
        model="m",
        messages=(Message("user", "a"),),
        sampling=Sampling(temperature=0.7, max_tokens=8),
        seed=1,
        schema='{"enum": ["positive", "negative"]}',
    )
    ended = evolve(whole, id=new_id(), choices=('"positive"', '"negative"'))
    memory, tokens = Memory(), []
    for request in (ended, whole, ended):
        (reply,) = answered(RecordedPort(EnginePort(FakeEngine()), memory, FAKE), [request])
        assert isinstance(reply, Completion)
        tokens.append(reply.samples[0].tokens)
    assert tokens == [1, 3, 1]
    assert memory.recorded == 2


def test_another_fingerprint_another_key() -> None:
    request = Request(
        id="1", model="m", messages=(), sampling=Sampling(temperature=1, max_tokens=1), seed=0
    )
    for form in KEY_FORMATS.values():
        assert not {*form({"engine": "a"})(request)} & {*form({"engine": "b"})(request)}


# ---------------------------------------------------------------- formats of keys


def request(count: int, temperature: float = 0.7, text: str = "a") -> Request:
    return Request(
        id=new_id(),
        model="m",
        messages=(Message("user", text),),
        sampling=Sampling(temperature=temperature, max_tokens=8),
        seed=1,
        count=count,
    )


@law(st.lists(REQUESTS, min_size=1, max_size=4), st.lists(REQUESTS, min_size=1, max_size=4))
def test_a_miss_is_looked_up_under_the_format_before(
    before: list[Request], batch: list[Request]
) -> None:
    memory = Memory()
    for one in before:
        answered(RecordedPort(EnginePort(FakeEngine(failures=fails)), memory, FAKE, ONLY_1), [one])
    earlier = dict(memory)
    engine = FakeEngine(failures=fails)
    port = RecordedPort(EnginePort(engine), memory, FAKE)
    taken = 0
    for one in batch:
        known = {key for key in old(one) if key in earlier}
        known |= {key for key in whole(one) if key in memory}
        (found,) = answered(port, [evolve(one, id=new_id())])
        (alone,) = answered(EnginePort(FakeEngine(failures=fails)), [evolve(one, id=new_id())])
        assert plain(found) == plain(alone)
        taken += len(known)
        assert port.taken == taken
    drawn = {key: one for key, one in memory.items() if key not in earlier}
    assert {one.format for one in earlier.values()} <= {1}
    assert {one.format for one in drawn.values()} <= {2}
    assert {key for one in batch for key in whole(one)} >= drawn.keys()


def test_new_samples_are_recorded_under_the_newer_format() -> None:
    memory = Memory()
    answered(RecordedPort(EnginePort(FakeEngine()), memory, FAKE, ONLY_1), [request(2)])
    engine = FakeEngine()
    port = RecordedPort(EnginePort(engine), memory, FAKE)
    (wider,) = answered(port, [request(5)])
    assert isinstance(wider, Completion)
    assert (port.taken, memory.recorded) == (2, 5)
    first, *_ = answered(RecordedPort(EnginePort(FakeEngine()), Memory(), FAKE), [request(5)])
    assert plain(first) == plain(wider)
    assert [key in memory for key in old(request(5))] == [True] * 2 + [False] * 3
    assert [key in memory for key in whole(request(5))] == [False] * 2 + [True] * 3
    again = RecordedPort(EnginePort(engine := FakeEngine()), memory, FAKE)
    assert plain(answered(again, [request(5)])[0]) == plain(wider)
    assert (again.taken, engine.submitted) == (5, 0)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_an_entry_of_a_later_format_counts_as_missing_and_is_left_alone(temperature: float) -> None:
    (key,) = whole(request(1, temperature))
    later = Drawn(Sample("of a later version", "stop", 3), 7, format=9)
    memory = Memory({key: later})
    engine = FakeEngine()
    port = RecordedPort(EnginePort(engine), memory, FAKE)
    (found,) = answered(port, [request(2, temperature)])
    assert isinstance(found, Completion)
    assert "later" not in found.samples[0].text
    assert (port.taken, engine.submitted) == (0, 1)
    assert memory[key] == later


def test_an_entry_of_an_older_format_is_no_hit_under_a_newer_key() -> None:
    (key,) = whole(request(1))
    memory = dict.fromkeys([key], Drawn(Sample("of another request", "stop", 3), 7))

    class Kept(Memory):
        def record(self, drawn: Mapping[bytes, Drawn]) -> None:
            memory.update(drawn)

    port = RecordedPort(EnginePort(engine := FakeEngine()), Kept(memory), FAKE)
    answered(port, [request(1)])
    assert (port.taken, engine.submitted, memory[key].format) == (0, 1, 2)


def test_the_format_of_a_key_is_in_its_entry() -> None:
    one = Drawn(Sample("42", "stop", 2), 7)
    assert b"format" not in encoded(one)  # as all entries were before there was a second
    later = evolve(one, format=2)
    assert json.loads(encoded(later)) == [
        7,
        {"text": "42", "finish": "stop", "tokens": 2, "format": 2},
    ]
    assert (decoded(encoded(one)), decoded(encoded(later))) == (one, later)


# ---------------------------------------------------------------- bounds of length


LENGTHS = st.integers(1, 12)
"""Lengths of replies and bounds, in tokens."""


def long(request: Request, index: int) -> str:
    """Return a reply whose length depends on its seed."""
    return "four" * (1 + (request.seed + index) * 5 % 12)


def bounded(max_tokens: int, **changes: object) -> Request:
    sampling = Sampling(temperature=0.7, max_tokens=max_tokens)
    return evolve(request(9), id=new_id(), sampling=sampling, **changes)


def asked(engine: FakeEngine, memory: Memory, one: Request, context: int = 1000) -> Completion:
    port = RecordedPort(EnginePort(engine), memory, {**FAKE, "context": context})
    (found,) = answered(port, [one])
    assert isinstance(found, Completion)
    return found


@law(st.lists(LENGTHS, min_size=2, max_size=5))
def test_any_other_max_tokens_resamples_what_it_would_cut_and_what_was_cut(
    bounds: list[int],
) -> None:
    memory, before = Memory(), set[tuple[int, str]]()
    for bound in bounds:
        engine = FakeEngine(answers=long)
        found = asked(engine, memory, bounded(bound))
        (alone,) = answered(EnginePort(FakeEngine(answers=long)), [bounded(bound)])
        assert plain(found) == plain(alone)
        wholes = {number for number, end in before if end == "stop"}
        fit = {number for number in wholes if len(found.samples[number].text) <= 4 * bound}
        cut = {number for number, end in before if end == str(bound)}
        missing = {n for n, one in enumerate(found.samples) if n not in fit | cut}
        missing |= {n for n, one in enumerate(found.samples) if n in fit and one.finish != "stop"}
        assert engine.metrics.usage.calls == len(missing - cut)
        before |= {
            (n, "stop" if one.finish == "stop" else str(bound))
            for n, one in enumerate(found.samples)
        }


@law(LENGTHS, LENGTHS, st.booleans())
def test_raised_bounds_resample_exactly_what_was_cut(first: int, more: int, choices: bool) -> None:
    memory = Memory()
    said = {"choices": ("yes", "no")} if choices else {}
    cut = [
        one.finish == "length"
        for one in asked(FakeEngine(answers=long), memory, bounded(first, **said), 20).samples
    ]
    engine = FakeEngine(answers=long)
    asked(engine, memory, bounded(first + more, **said), 20 + more)
    assert engine.metrics.usage.calls == sum(cut)


def test_a_smaller_context_resamples_what_would_not_fit_into_it() -> None:
    memory = Memory()
    asked(FakeEngine(answers=long), memory, bounded(12), 100)
    engine = FakeEngine(answers=long)
    asked(engine, memory, bounded(12), 1 + 6)  # a prompt of one token
    assert engine.metrics.usage.calls == 5  # those of 7, 8, 9, 11 and 12 tokens


def test_a_shorter_sample_in_place_of_a_longer_one_is_found_again() -> None:
    """An engine whose samples do not follow from the seed may return another sample."""
    memory = Memory()
    asked(FakeEngine(answers={"a": "four" * 9}), memory, bounded(9))
    shorter = asked(FakeEngine(answers={"a": "four" * 3}), memory, bounded(5))
    engine = FakeEngine()
    assert plain(asked(engine, memory, bounded(5)))[0] == shorter.samples  # type: ignore[index]
    assert engine.submitted == 0


class Estimating(FakeEngine):
    """An engine that does not know the length of a sample."""

    def complete(self, request: Request) -> Completion | Failure:
        reply = super().complete(request)
        assert isinstance(reply, Completion)
        return evolve(reply, samples=tuple(evolve(one, needs=None) for one in reply.samples))


@pytest.mark.parametrize(("bound", "drawn"), [(12, 0), (13, 0), (11, 9)])
def test_a_sample_of_unknown_length_fits_the_bound_it_was_generated_under(
    bound: int, drawn: int
) -> None:
    memory = Memory()
    asked(Estimating(answers={"a": "four"}), memory, bounded(12))
    engine = Estimating(answers={"a": "four"})
    asked(engine, memory, bounded(bound))
    assert engine.metrics.usage.calls == drawn


def test_what_is_no_bound_is_in_each_key() -> None:
    memory = Memory()
    asked(FakeEngine(), memory, bounded(8))
    engine, other = FakeEngine(), {**FAKE, "weights": "others"}
    (found,) = answered(RecordedPort(EnginePort(engine), memory, other), [bounded(8)])
    assert isinstance(found, Completion)
    assert engine.metrics.usage.calls == 9


@pytest.mark.parametrize("added", [{"rope_context": 4096}, {}])
def test_a_context_that_changes_positions_is_in_each_key(added: dict[str, int]) -> None:
    narrow, wide = ({"engine": "vllm", "context": size} for size in (100, 200))
    one, other = format_2({**narrow, **added})(request(1)), format_2(wide)(request(1))
    assert (one.whole == other.whole) is not bool(added)
    assert format_1({**narrow, **added})(request(1)) == format_1(narrow)(request(1))


def test_the_bounds_of_a_whole_sample_are_in_its_entry() -> None:
    one = Drawn(Sample("42", "stop", 2, needs=4), 7, format=2, under=Bounds(8, None))
    assert json.loads(encoded(one))[1]["under"] == [8, None]
    assert decoded(encoded(one)) == one

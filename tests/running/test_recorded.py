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
from chainlang.runtime.ports.recording import RecordedPort, keys
from chainlang.store.sample_codec import Drawn, decoded, encoded
from tests.laws import law


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
    port = RecordedPort(EnginePort(FakeEngine(failures=fails)), memory, "fake")
    known: set[bytes] = set()
    for batch in batches:
        found = answered(port, batch)
        alone = answered(EnginePort(FakeEngine(failures=fails)), batch)
        assert [plain(reply) for reply in found] == [plain(reply) for reply in alone]
        for request, reply in zip(batch, found, strict=True):
            if isinstance(reply, Completion):
                known |= set(keys("fake", request))
        assert memory.keys() == known
        assert memory.recorded == len(known)


@law(st.lists(REQUESTS, min_size=1, max_size=8))
def test_a_full_memory_asks_no_engine(batch: list[Request]) -> None:
    batch = [request for request in batch if request.messages[0].text != "fails"]
    memory: dict[bytes, Drawn] = {}

    class Kept(Memory):
        def record(self, drawn: Mapping[bytes, Drawn]) -> None:
            memory.update(drawn)

    first = answered(RecordedPort(EnginePort(FakeEngine()), Kept(), "fake"), batch)
    engine = FakeEngine()
    port = RecordedPort(EnginePort(engine), Memory(memory), "fake")
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
        (reply,) = answered(RecordedPort(EnginePort(FakeEngine()), memory, "fake"), [request])
        assert isinstance(reply, Completion)
        tokens.append(reply.samples[0].tokens)
    assert tokens == [1, 3, 1]
    assert memory.recorded == 2


def test_another_fingerprint_another_key() -> None:
    request = Request(
        id="1", model="m", messages=(), sampling=Sampling(temperature=1, max_tokens=1), seed=0
    )
    assert keys("a", request) != keys("b", request)


# ---------------------------------------------------------------- formats of keys


def newer(fingerprint: str, request: Request) -> list[bytes]:
    """Return keys that no request has in another format."""
    return [b"2" + key[1:] for key in keys(fingerprint, request)]


BOTH = {2: newer, 1: keys}


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
        answered(RecordedPort(EnginePort(FakeEngine(failures=fails)), memory, "fake"), [one])
    old = dict(memory)
    engine = FakeEngine(failures=fails)
    port = RecordedPort(EnginePort(engine), memory, "fake", BOTH)
    taken = 0
    for one in batch:
        known = {key for key in keys("fake", one) if key in old}
        known |= {key for key in newer("fake", one) if key in memory}
        (found,) = answered(port, [evolve(one, id=new_id())])
        (alone,) = answered(EnginePort(FakeEngine(failures=fails)), [evolve(one, id=new_id())])
        assert plain(found) == plain(alone)
        taken += len(known)
        assert port.taken == taken
    drawn = {key: one for key, one in memory.items() if key not in old}
    assert {one.format for one in old.values()} <= {1}
    assert {one.format for one in drawn.values()} <= {2}
    assert {key for one in batch for key in newer("fake", one)} >= drawn.keys()


def test_new_samples_are_recorded_under_the_newer_format() -> None:
    memory = Memory()
    answered(RecordedPort(EnginePort(FakeEngine()), memory, "fake"), [request(2)])
    engine = FakeEngine()
    port = RecordedPort(EnginePort(engine), memory, "fake", BOTH)
    (wider,) = answered(port, [request(5)])
    assert isinstance(wider, Completion)
    assert (port.taken, memory.recorded) == (2, 5)
    first, *_ = answered(RecordedPort(EnginePort(FakeEngine()), Memory(), "fake"), [request(5)])
    assert plain(first) == plain(wider)
    assert [key in memory for key in keys("fake", request(5))] == [True] * 2 + [False] * 3
    assert [key in memory for key in newer("fake", request(5))] == [False] * 2 + [True] * 3
    again = RecordedPort(EnginePort(engine := FakeEngine()), memory, "fake", BOTH)
    assert plain(answered(again, [request(5)])[0]) == plain(wider)
    assert (again.taken, engine.submitted) == (5, 0)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_an_entry_of_a_later_format_counts_as_missing_and_is_left_alone(temperature: float) -> None:
    (key,) = keys("fake", request(1, temperature))
    later = Drawn(Sample("of a later version", "stop", 3), 7, format=9)
    memory = Memory({key: later})
    engine = FakeEngine()
    port = RecordedPort(EnginePort(engine), memory, "fake")
    (found,) = answered(port, [request(2, temperature)])
    assert isinstance(found, Completion)
    assert "later" not in found.samples[0].text
    assert (port.taken, engine.submitted) == (0, 1)
    assert memory[key] == later


def test_an_entry_of_an_older_format_is_no_hit_under_a_newer_key() -> None:
    (key,) = newer("fake", request(1))
    memory = dict.fromkeys([key], Drawn(Sample("of another request", "stop", 3), 7))

    class Kept(Memory):
        def record(self, drawn: Mapping[bytes, Drawn]) -> None:
            memory.update(drawn)

    port = RecordedPort(EnginePort(engine := FakeEngine()), Kept(memory), "fake", BOTH)
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

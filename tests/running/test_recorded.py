"""What a memory has is not drawn again, and what comes back is the same either way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve
from hypothesis import strategies as st

from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Completion, Delta, Failure, Message, Request, Sampling
from chainlang.runtime.ports.port import Port, new_id
from chainlang.runtime.ports.recording import RecordedPort, keys
from chainlang.store.sample_codec import Drawn
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
    port = RecordedPort(Port(FakeEngine(failures=fails)), memory, "fake")
    known: set[bytes] = set()
    for batch in batches:
        found = answered(port, batch)
        alone = answered(Port(FakeEngine(failures=fails)), batch)
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

    first = answered(RecordedPort(Port(FakeEngine()), Kept(), "fake"), batch)
    engine = FakeEngine()
    port = RecordedPort(Port(engine), Memory(memory), "fake")
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
        (reply,) = answered(RecordedPort(Port(FakeEngine()), memory, "fake"), [request])
        assert isinstance(reply, Completion)
        tokens.append(reply.samples[0].tokens)
    assert tokens == [1, 3, 1]
    assert memory.recorded == 2


def test_another_fingerprint_another_key() -> None:
    request = Request(
        id="1", model="m", messages=(), sampling=Sampling(temperature=1, max_tokens=1), seed=0
    )
    assert keys("a", request) != keys("b", request)

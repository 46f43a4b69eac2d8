"""The stack of ports: each request comes back once, whatever is aborted, and nothing is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import evolve
from hypothesis import strategies as st

from chainlang.engines.fake import FakeEngine, Reply
from chainlang.protocol.messages import (
    Completion,
    Delta,
    Failure,
    Message,
    Request,
    Sample,
    Sampling,
)
from chainlang.runtime.budget import RunBudget
from chainlang.runtime.limits import RunLimits
from chainlang.runtime.ports.continued import ContinuedPort
from chainlang.runtime.ports.deadline import DeadlinePort
from chainlang.runtime.ports.dedup import SharedPort
from chainlang.runtime.ports.guard import GuardedPort
from chainlang.runtime.ports.port import EnginePort, Port, layers, new_id
from chainlang.runtime.ports.priced import PricedPort
from chainlang.runtime.ports.recording import RecordedPort
from chainlang.runtime.ports.stack import Needs, stacked
from chainlang.runtime.ports.traced import TracedPort
from chainlang.semantics.continuing import continuing
from chainlang.store.sample_codec import Drawn
from tests.laws import law
from tests.running.test_recorded import Memory

REQUESTS = st.builds(
    lambda text, temperature, seed, count, stream, thinking_tokens, deadline, patience: Request(
        id=new_id(),
        model="m",
        messages=(Message("user", text),),
        sampling=Sampling(temperature=temperature, max_tokens=8),
        seed=seed,
        count=count,
        stream=stream,
        thinking_tokens=thinking_tokens,
        shared=temperature == 0,
        deadline=deadline,
        patience=patience,
    ),
    st.sampled_from(["a", "b", "c", "fails"]),
    st.sampled_from([0.0, 0.7]),
    st.integers(0, 2),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from([None, None, 2]),
    st.sampled_from([None, None, 1.5]),
    st.sampled_from([None, 3.0, 30.0, 30.0]),
)
TURNS = st.lists(
    st.lists(REQUESTS, min_size=1, max_size=8) | st.integers(0, 20) | st.none(),
    min_size=1,
    max_size=12,
)
"""What to do in turn: submit some, abort one of those in flight, or take a step."""


def thought(request: Request, index: int) -> Reply:
    """Return a reply whose reasoning is longer than the budget, for every other sample."""
    number = request.seed + index if request.sampling.temperature > 0 else 1  # then no seed matters
    return Reply(str(number % 5), "thinking " * (number % 2))


class Down(FakeEngine):
    """An engine that is down for a while, and refuses some requests at any time."""

    def __init__(self, until: float) -> None:
        super().__init__(
            latency=lambda request: 0.5 + request.seed % 3, failures=self.fails, answers=thought
        )
        self.until = until

    def fails(self, request: Request) -> Failure | None:
        if self.now < self.until:
            return Failure("", "transport", "no route")
        return Failure("", "refused", "no") if request.messages[0].text == "fails" else None


class Kept(Memory):
    """A memory that is asked to record again what equal requests have drawn in flight."""

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        self.update(drawn)


def held(port: Port) -> list[object]:
    """Return what a port keeps of requests that have not come back."""
    match port:
        case SharedPort():
            return [*port._flying, *port._relay._above, *port._relay._below, *port._relay.ready]
        case RecordedPort():
            return [*port._relay._above, *port._relay._below, *port._relay.ready]
        case ContinuedPort():
            return [*port._relay._above, *port._relay._below]
        case GuardedPort():
            return [*port._held, *port._flying, *port._again, *port._ready]
        case TracedPort():
            return [*port._calls]
        case PricedPort():
            return [*port._prices, *port._hourly]
        case DeadlinePort():
            return [*port._seconds]
        case EnginePort():
            return [*port._arrived, *port._shared.owners]
    raise AssertionError(port)


def rest_of(request: Request, reply: Completion) -> Iterator[Sample]:
    """Yield the samples of a completion, each continued by itself if a budget has stopped it."""
    for number, sample in enumerate(reply.samples):
        first = number if request.sampling.temperature > 0 else 0
        rest = continuing(request, first, sample)
        done = FakeEngine(answers=thought).complete(rest) if sample.finish == "budget" else reply
        assert isinstance(done, Completion)
        yield sample if done is reply else done.samples[0]


Turn = list[Request] | int | None


@law(TURNS, st.sampled_from([0.0, 0.0, 1.0, 8.0, 40.0]), share=2)
def test_each_request_comes_back_once_or_is_aborted(turns: list[Turn], down: float) -> None:
    engine = Down(down)
    budget = RunBudget(RunLimits())
    port = stacked(engine, Needs(budget), Kept())
    asked: dict[str, Request] = {}
    flying: dict[str, Request] = {}
    came: dict[str, Completion | Failure] = {}

    def step() -> None:
        for reply in port.step():
            assert reply.id in flying
            if not isinstance(reply, Delta):
                came[reply.id] = reply
                del flying[reply.id]

    for turn in turns:
        if turn is None:
            step()
        elif isinstance(turn, int):
            for name in list(flying)[turn : turn + 1]:
                del flying[name]
                port.abort([name])
        else:
            batch = [evolve(request, id=new_id()) for request in turn]
            asked |= {request.id: request for request in batch}
            flying |= {request.id: request for request in batch}
            port.submit(batch)
    for _ in range(1000):
        if not flying:
            break
        step()
    assert not flying
    assert sorted(map(len, map(held, layers(port)))) == [0] * 8
    assert (budget.in_flight, engine._pending, engine._streaming) == (0, [], [])
    for name, reply in came.items():
        if isinstance(reply, Completion):
            alone = FakeEngine(answers=thought).complete(asked[name])
            assert isinstance(alone, Completion)
            assert reply.samples == tuple(rest_of(asked[name], alone))

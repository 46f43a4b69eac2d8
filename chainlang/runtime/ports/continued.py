"""A port that continues the samples which a budget of one of their parts has stopped.

The samples of a request come back whole: for each that its engine has stopped within a part, the
port submits a request that begins with it. A request without such a budget passes unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, evolve, field

from chainlang.engines.protocol import Engine
from chainlang.protocol.messages import Completion, Delta, Failure, Request, Sample, Usage
from chainlang.runtime.ports.port import Port, Reply, new_id
from chainlang.runtime.ports.relay import Relay, Wait
from chainlang.semantics.continuing import continuing


@define(eq=False, kw_only=True)
class _Wait(Wait):
    """A request, and the samples of its completion."""

    request: Request
    samples: dict[int, Sample] = field(factory=dict)
    """Samples by number; those that were stopped are replaced by whole ones."""
    usage: Usage = field(factory=Usage)


class ContinuedPort:
    """A port whose samples are whole. A continued sample counts as one call."""

    __slots__ = ("_relay", "engine", "inner")

    def __init__(self, inner: Port) -> None:
        self.inner = inner
        self.engine: Engine = inner.engine
        self._relay: Relay[_Wait] = Relay()

    @property
    def waits(self) -> bool:
        """Whether no reply can arrive before the engine's model is loaded."""
        return self.inner.waits

    def submit(self, requests: Iterable[Request]) -> None:
        """Submit requests."""
        requests = list(requests)
        for request in requests:
            if request.thinking_tokens is not None or request.budgets:
                wait = _Wait(request=request)
                self._relay.join(wait, request)
                self._relay.ask(wait, request.id)
        self.inner.submit(requests)

    def step(self, until: float | None = None) -> list[Reply]:
        """Return the replies that have arrived and are whole, and continue the others."""
        replies = self.inner.step(until)
        if not self._relay:
            return replies
        return [one for reply in replies for one in self._heard(reply)]

    def abort(self, ids: Iterable[str]) -> None:
        """Abort requests, and what continues them."""
        _, below = self._relay.drop(ids)
        self.inner.abort(below)

    def _heard(self, reply: Reply) -> list[Reply]:
        """Return the replies that follow from a reply of the inner port."""
        wait = self._relay.wait_of(reply)
        if wait is None:
            return [reply]
        request, first = wait.request, wait.asked[reply.id]
        match reply:
            case Delta():
                return [evolve(reply, id=request.id, sample=first + reply.sample)]
            case Failure():
                self.abort([request.id])
                return [evolve(reply, id=request.id)]
        is_rest = bool(wait.samples)
        if not is_rest and all(sample.finish != "budget" for sample in reply.samples):
            self._relay.end(wait)
            return [reply]
        self._relay.answer(reply.id)
        wait.usage += evolve(reply.usage, calls=0) if is_rest else reply.usage
        new = reply.samples[:1] if is_rest else reply.samples[: request.drawn]
        wait.samples |= dict(enumerate(new, first))
        self._continue(wait, range(first, first + len(new)))
        if wait.asked:
            return []
        self._relay.end(wait)
        samples = tuple(wait.samples[number] for number in range(request.drawn))
        return [Completion(request.id, samples * (request.count // request.drawn), wait.usage)]

    def _continue(self, wait: _Wait, numbers: Iterable[int]) -> None:
        """Submit a request for each of some samples that was stopped."""
        asked: list[Request] = []
        for number in numbers:
            if (sample := wait.samples[number]).finish == "budget":
                part = evolve(continuing(wait.request, number, sample), id=new_id())
                self._relay.ask(wait, part.id, number)
                asked.append(part)
        if asked:
            self.inner.submit(asked)

"""A port that asks another model where a request's own is down, denied, over quota or too short.

The samples that are missing alone go to the next model of `Request.fallbacks`. Each of them says
who answered and why; it is recorded in the journal in place of its model's, so that a resumed run
has the same, and in no cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from attrs import define, evolve, field

from chainlang.engines.protocol import Engine
from chainlang.errors import EngineError
from chainlang.protocol.failures import FailureKind, is_switched
from chainlang.protocol.messages import (
    Completion,
    Delta,
    Failure,
    Fallback,
    Request,
    Sample,
    Usage,
    changed,
)
from chainlang.runtime.ports.port import Port, Reply, new_id
from chainlang.runtime.ports.relay import runs

_NOTHING = Usage()
_REST = 30.0  # seconds until an engine that takes no requests is tried again


@define(eq=False, kw_only=True)
class _Wait:
    """A request, the samples that are there, and the models that have failed."""

    request: Request
    left: tuple[Fallback, ...]
    """Models that can still be asked."""
    model: str = ""
    """Model that is asked now; empty for the request's own."""
    failed: list[str] = field(factory=list)
    """Each model that has failed, with its failure."""
    samples: dict[int, Sample] = field(factory=dict)
    """Samples by number."""
    others: dict[str, Usage] = field(factory=dict)
    """Usage by model; that of the request's own under an empty name."""
    asked: dict[str, tuple[int, Port]] = field(factory=dict)
    """Ids of the requests in flight, each with the number of its first sample and its port."""
    streamed: bool = False
    """Whether text of it has been passed on, which can't be taken back."""


class SwitchPort:
    """A port that sends the missing samples of failed requests to other models.

    `open_other` returns a port to another model. The request's own model has no patience: while it
    is unavailable, the next one is asked at once.
    """

    __slots__ = (
        "_below", "_broken", "_inner_flying", "_open_other", "_others", "_ready", "_waits", "inner",
    )  # fmt: skip

    def __init__(self, inner: Port, open_other: Callable[[str], Port]) -> None:
        self.inner = inner
        self._open_other = open_other
        self._others: dict[str, Port] = {}
        self._waits: dict[str, _Wait] = {}
        """Waits by the ids of their requests."""
        self._below: dict[str, str] = {}
        """Ids of requests by the ids of those in flight for them."""
        self._inner_flying: set[str] = set()
        """Ids of the requests at the inner port."""
        self._ready: list[Reply] = []
        self._broken: dict[str, tuple[float, str]] = {}
        """Models whose engine takes no requests, each with the time of the next trial, and why."""

    @property
    def engine(self) -> Engine:
        """The engine; another one, if all requests wait for its model to be loaded."""
        waiting = next((port for port in self._flying_others() if port.waits), None)
        own = self.inner.waits or waiting is None
        return self.inner.engine if own or waiting is None else waiting.engine

    @property
    def waits(self) -> bool:
        """Whether no reply can arrive before a model is loaded."""
        if self._ready:
            return False
        flying = self._flying_others()
        own = self.inner.waits or not self._inner_flying
        return own and all(port.waits for port in flying) and bool(flying or self._inner_flying)

    def submit(self, requests: Iterable[Request]) -> None:
        """Submit requests to their own models."""
        asked: list[Request] = []
        for request in requests:
            if not request.fallbacks:
                self._inner_flying.add(request.id)
                asked.append(request)
                continue
            wait = self._waits[request.id] = _Wait(request=request, left=request.fallbacks)
            due, why = self._broken.get(request.model, (0.0, ""))
            if due > time.monotonic():
                self._fail(wait, "engine", why)
                continue
            self._inner_flying.add(request.id)
            self._below[request.id] = request.id
            wait.asked[request.id] = (0, self.inner)
            patience = None if request.patience is None else 0.0
            asked.append(changed(request, fallbacks=(), patience=patience, has_others=True))
        try:
            self.inner.submit(asked)
        except EngineError as error:  # of its server, which it looks for before the first request
            if any(one.id not in self._waits for one in asked):
                raise
            why = error.diagnostics[0].message
            self.inner.abort([one.id for one in asked])
            for one in asked:
                self._broken[one.model] = (time.monotonic() + _REST, why)
                self._fail(self._waits[one.id], "engine", why)

    def step(self, until: float | None = None) -> list[Reply]:
        """Return the replies that have arrived; if there are none, step the engines."""
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        found: list[Reply] = []
        if self._inner_flying or not self._waits:
            for reply in self.inner.step(until):
                if not isinstance(reply, Delta):
                    self._inner_flying.discard(reply.id)
                found += self._heard(reply)
        for port in self._flying_others():
            for reply in port.step(until):
                found += self._heard(reply)
        return found

    def abort(self, ids: Iterable[str]) -> None:
        """Abort requests."""
        own: list[str] = []
        gone = set(ids)
        self._ready = [reply for reply in self._ready if reply.id not in gone]
        for name in gone:
            wait = self._waits.pop(name, None)
            self._inner_flying.discard(name)
            if wait is None:
                own.append(name)
                continue
            for below, (_, port) in wait.asked.items():
                del self._below[below]
                if port is self.inner:
                    own.append(below)
                else:
                    port.abort([below])
        self.inner.abort(own)

    def _flying_others(self) -> list[Port]:
        """Return the ports of other models that requests are in flight at."""
        found: dict[int, Port] = {}
        for wait in self._waits.values():
            found |= {id(port): port for _, port in wait.asked.values() if port is not self.inner}
        return list(found.values())

    def _heard(self, reply: Reply) -> list[Reply]:
        name = self._below.get(reply.id)
        if name is None:
            return [reply]
        wait = self._waits[name]
        first, _ = wait.asked[reply.id]
        if isinstance(reply, Delta):
            wait.streamed = True
            return [evolve(reply, id=name, sample=first + reply.sample)]
        del wait.asked[reply.id], self._below[reply.id]
        self._keep(wait, first, reply)
        if isinstance(reply, Failure):
            self._fail(wait, reply.kind, reply.message, reply)
        elif not wait.asked:
            self._end(wait)
        ready, self._ready = self._ready, []
        return ready

    def _fail(
        self, wait: _Wait, kind: FailureKind, message: str, failure: Failure | None = None
    ) -> None:
        """Ask the next model of a request, or end it if there is none."""
        wait.failed.append(f"{wait.model or wait.request.model} ({kind}): {message}")
        self._drop(wait)
        if wait.left and not wait.streamed and is_switched(kind):
            self._ask_next(wait)
            return
        name = wait.request.id
        del self._waits[name]
        failure = failure or Failure(name, kind, message)
        there = tuple(sorted(wait.samples.items()))
        usage = Usage.total(wait.others.values())
        said = "; ".join(wait.failed)
        self._ready.append(evolve(failure, id=name, message=said, samples=there, usage=usage))

    def _keep(self, wait: _Wait, first: int, reply: Completion | Failure) -> None:
        """Keep the samples of a reply, with the model that answered."""
        several = enumerate(reply.samples) if isinstance(reply, Completion) else iter(reply.samples)
        why = "; ".join(wait.failed) if wait.model else ""
        for number, sample in several:
            wait.samples[first + number] = evolve(sample, model=wait.model, switched=why)
        wait.others[wait.model] = wait.others.get(wait.model, _NOTHING) + reply.usage

    def _drop(self, wait: _Wait) -> None:
        """Abort the other parts of a request whose model has failed."""
        for below, (_, port) in tuple(wait.asked.items()):
            port.abort([below])
            self._inner_flying.discard(below)
            del wait.asked[below], self._below[below]

    def _ask_next(self, wait: _Wait) -> None:
        """Ask the next model for the samples that are missing."""
        other, *left = wait.left
        wait.model, wait.left, request = other.model, tuple(left), wait.request
        port = self._others.get(wait.model)
        if port is None:
            port = self._others[wait.model] = self._open_other(wait.model)
        patience = 0.0 if left and request.patience is not None else request.patience
        parts = []
        for first, count in runs(request.count, wait.samples):
            part = evolve(
                request,
                id=new_id(),
                model=wait.model,
                adapter=other.adapter,
                price=other.price,
                fallbacks=(),
                patience=patience,
                has_others=bool(left),
                seed=request.seed + first,
                first=request.first + first,
                count=count,
            )
            wait.asked[part.id] = (first, port)
            self._below[part.id] = request.id
            parts.append(part)
        if not parts:
            self._end(wait)
            return
        try:
            port.submit(parts)
        except EngineError as error:
            self._fail(wait, "engine", error.diagnostics[0].message)

    def _end(self, wait: _Wait) -> None:
        """Complete a request, all of whose samples are there."""
        request = wait.request
        del self._waits[request.id]
        samples = tuple(wait.samples[number] for number in range(request.count))
        others = tuple((name, usage) for name, usage in wait.others.items() if name)
        total = Usage.total(wait.others.values())
        self._ready.append(Completion(request.id, samples, total, others))

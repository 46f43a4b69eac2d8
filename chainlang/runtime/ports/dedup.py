"""A port that deduplicates equal requests whose replies may be shared."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from attrs import define, evolve, frozen

from chainlang.engines.protocol import Engine
from chainlang.protocol.messages import Completion, Delta, Request, Sample, Usage, changed
from chainlang.runtime.ports.port import Port, Reply
from chainlang.runtime.ports.relay import Relay, Wait

REMEMBERED = 4096
"""Maximum number of completions that are kept for later requests."""
_NOTHING = Usage()


@frozen(cache_hash=True)
class _Key:
    """The part of a request that its reply depends on, with a cached hash."""

    question: tuple[object, ...]


@define(eq=False, kw_only=True)
class _Wait(Wait):
    """Equal requests, of which one is submitted."""

    key: _Key


class SharedPort:
    """A port that deduplicates requests. The usage counts for the first of equal requests only."""

    __slots__ = ("_flying", "_known", "_relay", "engine", "inner", "shared")

    def __init__(self, inner: Port) -> None:
        self.inner = inner
        self.engine: Engine = inner.engine
        self.shared = 0
        """Number of deduplicated requests."""
        self._relay: Relay[_Wait] = Relay()
        self._flying: dict[_Key, _Wait] = {}
        self._known: OrderedDict[_Key, Sample] = OrderedDict()

    @property
    def waits(self) -> bool:
        """Whether no reply can arrive before the engine's model is loaded."""
        return not self._relay.ready and self.inner.waits

    def submit(self, requests: Iterable[Request]) -> None:
        """Submit the requests that equal no request in flight and none that is kept."""
        asked: list[Request] = []
        for request in requests:
            if not request.shared or request.stream:
                asked.append(request)
                continue
            key = _Key(request.question)
            sample = self._known.get(key)
            if sample is not None:
                self._known.move_to_end(key)
                self.shared += 1
                self._relay.ready.append(_completion(request, sample, _NOTHING))
                continue
            wait = self._flying.get(key)
            if wait is None:
                wait = self._flying[key] = _Wait(key=key)
                self._relay.ask(wait, request.id)
                asked.append(request if request.count == 1 else changed(request, count=1))
            else:
                self.shared += 1
            self._relay.join(wait, request)
        if asked:
            self.inner.submit(asked)

    def step(self, until: float | None = None) -> list[Reply]:
        """Return the kept replies; if there are none, those that arrived, one for each request."""
        if self._relay.ready:
            return self._relay.take()
        found: list[Reply] = []
        for reply in self.inner.step(until):
            wait = None if isinstance(reply, Delta) else self._relay.wait_of(reply)
            if wait is None:
                found.append(reply)
                continue
            self._relay.end(wait)
            del self._flying[wait.key]
            if isinstance(reply, Completion):
                self._known[wait.key] = reply.samples[0]
                if len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            for number, (name, request) in enumerate(wait.waiters.items()):
                if isinstance(reply, Completion):
                    usage = _NOTHING if number else reply.usage
                    found.append(_completion(request, reply.samples[0], usage))
                else:
                    found.append(evolve(reply, id=name))
        return found

    def abort(self, ids: Iterable[str]) -> None:
        """Abort requests. One that equal requests wait for continues."""
        ended, below = self._relay.drop(ids)
        for wait in ended:
            del self._flying[wait.key]
        self.inner.abort(below)


def _completion(request: Request, sample: Sample, usage: Usage) -> Completion:
    return Completion(request.id, (sample,) * request.count, usage)

"""A port that asks once for what is equal, where the requests say that they may share a reply."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from attrs import define, evolve, field, frozen

from chainlang.protocol.messages import Completion, Delta, Request, Sample, Usage
from chainlang.runtime.ports.port import Port, Reply

REMEMBERED = 4096
"""Replies that are remembered after they have come, the latest ones."""
_NOTHING = Usage()


@frozen(cache_hash=True)
class _Key:
    """A question; its hash is asked for often."""

    question: tuple[object, ...]


@define(eq=False)
class _Wait:
    """A request that was asked for several, and who they are."""

    id: str
    waiters: dict[str, Request] = field(factory=dict)


class SharedPort(Port):
    """A port in front of another. A reply that was shared has cost nothing but the first time."""

    __slots__ = ("_asked", "_flying", "_inner", "_keys", "_known", "_ready")

    def __init__(self, inner: Port) -> None:
        super().__init__(inner.engine)
        self._inner = inner
        self._flying: dict[_Key, _Wait] = {}
        self._keys: dict[str, _Key] = {}  # by the ids of those who wait
        self._asked: dict[str, _Key] = {}  # by the ids of those that are asked
        self._known: OrderedDict[_Key, Sample] = OrderedDict()
        self._ready: list[Reply] = []

    @property
    def waits(self) -> bool:
        """Whether nothing can come before the engine's model is loaded."""
        return not self._ready and self._inner.waits

    def submit(self, requests: Iterable[Request]) -> None:
        """Ask for what nobody has asked for yet."""
        asked: list[Request] = []
        for request in requests:
            if not request.shared or request.stream:
                asked.append(request)
                continue
            key = _Key(request.question)
            sample = self._known.get(key)
            if sample is not None:
                self._known.move_to_end(key)
                self._inner.shared += 1
                self._ready.append(_completion(request, sample, _NOTHING))
                continue
            wait = self._flying.get(key)
            if wait is None:
                wait = self._flying[key] = _Wait(request.id)
                self._asked[wait.id] = key
                asked.append(request if request.count == 1 else evolve(request, count=1))
            else:
                self._inner.shared += 1
            wait.waiters[request.id] = request
            self._keys[request.id] = key
        if asked:
            self._inner.submit(asked)

    def step(self, until: float | None = None) -> list[Reply]:
        """Return what is known; if nothing is, what has come, to each who waits for it."""
        if self._ready:
            ready, self._ready = self._ready, []
            return ready
        found: list[Reply] = []
        for reply in self._inner.step(until):
            key = None if isinstance(reply, Delta) else self._asked.pop(reply.id, None)
            if key is None:
                found.append(reply)
                continue
            wait = self._flying.pop(key)
            if isinstance(reply, Completion):
                self._known[key] = reply.samples[0]
                if len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            for number, (name, request) in enumerate(wait.waiters.items()):
                del self._keys[name]
                if isinstance(reply, Completion):
                    usage = _NOTHING if number else reply.usage
                    found.append(_completion(request, reply.samples[0], usage))
                else:
                    found.append(evolve(reply, id=name))
        return found

    def abort(self, ids: Iterable[str]) -> None:
        """Forget requests. One that others wait for too goes on."""
        gone = set(ids)
        self._ready = [reply for reply in self._ready if reply.id not in gone]
        inner: list[str] = []
        for name in gone:
            key = self._keys.pop(name, None)
            if key is None:
                inner.append(name)
                continue
            wait = self._flying[key]
            del wait.waiters[name]
            if not wait.waiters:
                del self._flying[key], self._asked[wait.id]
                inner.append(wait.id)
        self._inner.abort(inner)


def _completion(request: Request, sample: Sample, usage: Usage) -> Completion:
    return Completion(request.id, (sample,) * request.count, usage)

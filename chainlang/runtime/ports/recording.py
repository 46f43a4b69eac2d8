"""Samples are drawn once: what a memory has is taken from there, and what is drawn is put there.

A key is a hash of everything that a sample may depend on: the model's fingerprint, the messages,
how to draw, the schema and the seed. So it is the same in a run that goes on after a crash, and in
another chain that asks the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Protocol

import attrs
from attrs import define, evolve, field

from chainlang.protocol.messages import Completion, Delta, Failure, Request, Sample, Sampling, Usage
from chainlang.runtime.ports.port import Port, Reply, new_id
from chainlang.store.sample_codec import Drawn


class Memory(Protocol):
    """Remembers samples by key."""

    def find(self, keys: Iterable[bytes]) -> Mapping[bytes, Drawn]:
        """Return those that are there."""
        ...

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Keep samples; when this returns, they are kept."""
        ...


def keys(fingerprint: str, request: Request) -> list[bytes]:
    """Return the key of each sample of a request. At temperature 0 they are one.

    >>> from chainlang.protocol.messages import Message
    >>> one = Request(
    ...     id="1", model="m", messages=(Message("user", "Hi"),),
    ...     sampling=Sampling(temperature=0.7, max_tokens=8), seed=3, count=2,
    ... )
    >>> keys("f", one)[1] == keys("f", evolve(one, id="2", seed=4, count=1))[0]
    True
    """
    messages = [(message.role, message.text) for message in request.messages]
    parts = [fingerprint, request.model, messages, _parameters(request.sampling), request.schema]
    if request.logprobs:  # the sample has more to it, though its text is the same
        parts.append("logprobs")
    if request.choices:  # it may be shorter than it would be, though its value is the same
        parts.append("choices")
    if request.redraw:
        parts.append(f"redraw {request.redraw}")
    base = hashlib.blake2b(json.dumps(parts).encode(), digest_size=16)
    if request.sampling.temperature == 0:
        return [base.digest()] * request.count
    found = []
    for number in range(request.count):
        one = base.copy()
        one.update(b"%d" % (request.seed + number))
        found.append(one.digest())
    return found


@lru_cache(maxsize=1024)
def _parameters(sampling: Sampling) -> tuple[Any, ...]:
    return attrs.astuple(sampling)


@define(eq=False)
class _Wait:
    """A request of which samples are missing, and who draws them."""

    request: Request
    keys: list[bytes]
    found: dict[int, Drawn]
    usage: Usage
    asked: dict[str, int] = field(factory=dict)
    """The requests for what is missing, each with the number of its first sample."""


class RecordedPort(Port):
    """A port that asks an engine only for what a memory does not have.

    Whatever an engine has drawn is in the memory before it is returned.
    """

    __slots__ = ("_below", "_fingerprint", "_known", "_memory", "_owner", "_waits", "taken")

    def __init__(self, port: Port, memory: Memory, fingerprint: str) -> None:
        super().__init__(port.engine)
        self._below = port
        self.taken = 0
        """How many samples came from the memory."""
        self._memory = memory
        self._fingerprint = fingerprint
        self._known: list[Reply] = []
        self._waits: dict[str, _Wait] = {}
        self._owner: dict[str, str] = {}

    @property
    def waits(self) -> bool:
        """Whether nothing can come before the engine's model is loaded."""
        return not self._known and self._below.waits

    def submit(self, requests: Iterable[Request]) -> None:
        """Take what is known from the memory, and ask for the rest."""
        asked = [(request, keys(self._fingerprint, request)) for request in requests]
        known = self._memory.find(dict.fromkeys(key for _, wanted in asked for key in wanted))
        missing: list[Request] = []
        for request, wanted in asked:
            found = {number: known[key] for number, key in enumerate(wanted) if key in known}
            self.taken += len(set(wanted) & known.keys())
            wait = _Wait(request, wanted, found, _usage(known, wanted))
            if len(found) == request.count:
                self._known.append(_completion(wait))
                continue
            self._waits[request.id] = wait
            for first, count in _runs(request, found):
                part = evolve(request, id=new_id(), seed=request.seed + first, count=count)
                wait.asked[part.id] = first
                self._owner[part.id] = request.id
                missing.append(part)
        if missing:
            self._below.submit(missing)

    def step(self, until: float | None = None) -> list[Reply]:
        """Return what is known; if nothing is, let the engine work, and remember what it drew."""
        if self._known:
            known, self._known = self._known, []
            return known
        replies = self._below.step(until)
        drawn: dict[bytes, Drawn] = {}
        for reply in replies:
            if isinstance(reply, Completion):
                drawn |= self._drawn(reply)
        self._memory.record(drawn)
        return [one for reply in replies for one in self._told(reply)]

    def abort(self, ids: Iterable[str]) -> None:
        """Forget requests."""
        gone = set(ids)
        self._known = [reply for reply in self._known if reply.id not in gone]
        parts: list[str] = []
        for name in gone:
            wait = self._waits.pop(name, None)
            if wait is not None:
                parts += wait.asked
        for part in parts:
            del self._owner[part]
        self._below.abort(parts)

    def _drawn(self, reply: Completion) -> dict[bytes, Drawn]:
        """Return the samples of a reply by key."""
        wait = self._waits[self._owner[reply.id]]
        first = wait.asked[reply.id]
        each = reply.usage.prompt_tokens // max(1, reply.usage.calls)
        return {
            wait.keys[first + number]: Drawn(sample, each)
            for number, sample in enumerate(reply.samples)
        }

    def _told(self, reply: Reply) -> list[Reply]:
        """Return what the asker is told when a part of a request has an answer."""
        name = self._owner.get(reply.id)
        if name is None:  # another part of its request has failed in this very step
            return []
        wait = self._waits[name]
        first = wait.asked[reply.id]
        if isinstance(reply, Delta):
            return [Delta(name, first + reply.sample, reply.text)]
        del self._owner[reply.id], wait.asked[reply.id]
        if isinstance(reply, Failure):
            self.abort([name])
            return [evolve(reply, id=name)]
        wait.found |= {first + n: Drawn(sample, 0) for n, sample in enumerate(reply.samples)}
        wait.usage += reply.usage
        if wait.asked:
            return []
        del self._waits[name]
        return [_completion(wait)]


def _runs(request: Request, found: Mapping[int, Drawn]) -> list[tuple[int, int]]:
    """Return the stretches of samples that are missing: the first of each, and how many."""
    runs: list[tuple[int, int]] = []
    for number in range(request.count):
        if number in found:
            continue
        if runs and sum(runs[-1]) == number:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return runs


def _usage(known: Mapping[bytes, Drawn], wanted: Iterable[bytes]) -> Usage:
    """Return what samples cost when they were drawn: the cost of a row is that of a whole run."""
    found = [known[key] for key in dict.fromkeys(wanted) if key in known]
    prompts = sum(one.prompt_tokens for one in found)
    return Usage(len(found), prompts, 0, sum(one.sample.tokens for one in found))


def _completion(wait: _Wait) -> Completion:
    samples: tuple[Sample, ...] = tuple(
        wait.found[number].sample for number in range(wait.request.count)
    )
    return Completion(wait.request.id, samples, wait.usage)

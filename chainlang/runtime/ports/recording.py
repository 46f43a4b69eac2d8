"""A port that looks samples up in a cache or journal, and records those that an engine generates.

A key is a hash of all that a sample depends on: the engine's fingerprint, the messages, the
sampling parameters, the schema and the seed. So a resumed run, or another chain with an equal
request, has the same key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Protocol, TypeAlias

import attrs
from attrs import define, evolve

from chainlang.engines.protocol import Engine
from chainlang.protocol.messages import Completion, Delta, Failure, Request, Sampling, Usage
from chainlang.runtime.ports.port import Port, Reply, new_id
from chainlang.runtime.ports.relay import Relay, Wait
from chainlang.store.sample_codec import Drawn

_NOTHING = Usage()


class Memory(Protocol):
    """A cache or journal of samples by key."""

    def find(self, keys: Iterable[bytes]) -> Mapping[bytes, Drawn]:
        """Return the samples of the keys that are present."""
        ...

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples; they are stored when this returns."""
        ...


def keys(fingerprint: str, request: Request) -> list[bytes]:
    """Return the key of each sample of a request. At temperature 0 all have the same key.

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
    if request.logprobs:  # the sample has the same text, and more data
        parts.append("logprobs")
    if request.choices:  # the sample has the same value, but a shorter text
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


# Not cached by equality: 0 and 0.0 are equal and differ as JSON, so a key would depend on which of
# them a process has met first.
_parameters = attrgetter(*(one.name for one in attrs.fields(Sampling)))


KeyFormat: TypeAlias = Callable[[str, Request], list[bytes]]
"""Function of an engine's fingerprint and a request that returns the keys of its samples."""

KEY_FORMATS: Mapping[int, KeyFormat] = {1: keys}
"""Formats of keys by number, the newest first.

Samples are recorded under the newest, and looked up under each in turn. A new format begins its
hash with its number, so that no two formats have a key in common, and stays here as long as caches
or journals may have entries of it.
"""


@define(eq=False, kw_only=True)
class _Wait(Wait):
    """A request, the keys of its samples, and those that were found."""

    request: Request
    keys: list[bytes]
    found: dict[int, Drawn]
    """Samples by number."""
    usage: Usage = _NOTHING


class RecordedPort:
    """A port that requests only those samples of an engine that a cache or journal lacks.

    Generated samples are recorded before they are returned, but for those that were refused, which
    are requested again as failed requests are. An entry under the key of another
    format than its own counts as missing; it is not replaced if that format is unknown.
    """

    __slots__ = (
        "_fingerprint", "_foreign", "_formats", "_newest", "_relay", "engine", "inner", "memory",
        "taken",
    )  # fmt: skip

    def __init__(
        self,
        inner: Port,
        memory: Memory,
        fingerprint: str,
        formats: Mapping[int, KeyFormat] = KEY_FORMATS,
    ) -> None:
        self.inner = inner
        self.engine: Engine = inner.engine
        self.memory = memory
        self.taken = 0
        """Number of hits, in samples."""
        self._fingerprint = fingerprint
        self._formats = formats
        self._newest = next(iter(formats))
        self._foreign: set[bytes] = set()
        """Keys with entries of a later version."""
        self._relay: Relay[_Wait] = Relay()

    @property
    def waits(self) -> bool:
        """Whether no reply can arrive before the engine's model is loaded."""
        return not self._relay.ready and self.inner.waits

    def submit(self, requests: Iterable[Request]) -> None:
        """Look up the samples, and submit requests for the missing ones."""
        missing: list[Request] = []
        for wait in self._look_up(requests):
            request, found = wait.request, wait.found
            self.taken += wait.usage.calls
            if len(found) == request.count:
                self._relay.ready.append(_completion(wait))
                continue
            self._relay.join(wait, request)
            for first, count in _runs(request, found):
                part = evolve(request, id=new_id(), seed=request.seed + first, count=count)
                self._relay.ask(wait, part.id, first)
                missing.append(part)
        if missing:
            self.inner.submit(missing)

    def step(self, until: float | None = None) -> list[Reply]:
        """Return the hits; if there are none, step the engine and record its samples."""
        if self._relay.ready:
            return self._relay.take()
        replies = self.inner.step(until)
        drawn: dict[bytes, Drawn] = {}
        for reply in replies:
            if isinstance(reply, Completion):
                drawn |= self._drawn(reply)
        self.memory.record(drawn)
        return [one for reply in replies for one in self._merged(reply)]

    def abort(self, ids: Iterable[str]) -> None:
        """Abort requests."""
        _, below = self._relay.drop(ids)
        self.inner.abort(below)

    def _look_up(self, requests: Iterable[Request]) -> list[_Wait]:
        """Return each request with its hits, under any format."""
        make = self._formats[self._newest]
        waits = [
            _Wait(request=request, keys=make(self._fingerprint, request), found={})
            for request in requests
        ]
        self._find(self._newest, [(wait, wait.keys) for wait in waits])
        for number, make in self._formats.items():
            if number != self._newest:
                missing = [wait for wait in waits if len(wait.found) < wait.request.count]
                self._find(number, [(one, make(self._fingerprint, one.request)) for one in missing])
        for wait in waits:
            wait.usage = _usage(wait)
        return waits

    def _find(self, number: int, wanted: Sequence[tuple[_Wait, list[bytes]]]) -> None:
        """Add the samples that are recorded under the keys of a format."""
        known = self.memory.find(dict.fromkeys(key for _, keys in wanted for key in keys))
        for wait, keys in wanted if known else ():
            for sample, key in enumerate(keys):
                drawn = known.get(key)
                if drawn is None:
                    continue
                if drawn.format == number:
                    wait.found.setdefault(sample, drawn)
                elif drawn.format not in self._formats:
                    self._foreign.add(key)

    def _drawn(self, reply: Completion) -> dict[bytes, Drawn]:
        """Return the samples of a reply by key."""
        wait = self._relay.wait_of(reply)
        assert wait is not None  # each submitted request has one until it is aborted
        first = wait.asked[reply.id]
        each = reply.usage.prompt_tokens // max(1, reply.usage.calls)
        return {
            wait.keys[number]: Drawn(sample, each, self._newest)
            for number, sample in enumerate(reply.samples, first)
            if wait.keys[number] not in self._foreign and not sample.refusal
        }

    def _merged(self, reply: Reply) -> list[Reply]:
        """Return the replies that follow from a reply to a part of a request."""
        wait = self._relay.wait_of(reply)
        if wait is None:  # another part of its request has failed in this very step
            return []
        name, first = wait.request.id, wait.asked[reply.id]
        if isinstance(reply, Delta):
            return [Delta(name, first + reply.sample, reply.text)]
        self._relay.answer(reply.id)
        if isinstance(reply, Failure):
            self.abort([name])
            return [evolve(reply, id=name)]
        wait.found |= {first + n: Drawn(sample, 0) for n, sample in enumerate(reply.samples)}
        wait.usage += reply.usage
        if wait.asked:
            return []
        self._relay.end(wait)
        return [_completion(wait)]


def _runs(request: Request, found: Mapping[int, Drawn]) -> list[tuple[int, int]]:
    """Return the ranges of missing samples: the first number and the count of each."""
    runs: list[tuple[int, int]] = []
    for number in range(request.count):
        if number in found:
            continue
        if runs and sum(runs[-1]) == number:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    return runs


def _usage(wait: _Wait) -> Usage:
    """Return the usage of the hits when they were generated, so that a resumed row has it all."""
    if not wait.found:
        return _NOTHING
    drawn = list(wait.found.values())[: wait.request.drawn]  # equal samples are one
    prompts = sum(one.prompt_tokens for one in drawn)
    return Usage(len(drawn), prompts, 0, sum(one.sample.tokens for one in drawn))


def _completion(wait: _Wait) -> Completion:
    request, found = wait.request, wait.found
    samples = tuple(found[number].sample for number in range(request.count))
    return Completion(request.id, samples, wait.usage)

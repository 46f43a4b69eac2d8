"""A port that looks samples up in a cache or journal, and records those that an engine generates.

A sample that ended by itself is recorded under a key without bounds, and is a hit under any bounds
that it fits. One that was cut is recorded under a key with them, and is a hit under equal ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import count as counting
from typing import Protocol, TypeAlias, TypeGuard

from attrs import define, evolve, field

from chainlang.engines.protocol import Engine, fingerprint_of
from chainlang.protocol.fingerprints import CONTEXT
from chainlang.protocol.messages import (
    Completion,
    Delta,
    Failure,
    Fingerprint,
    Request,
    Sample,
    Usage,
    changed,
)
from chainlang.protocol.price import shares
from chainlang.protocol.usage import ZERO, plus
from chainlang.protocol.usages import used
from chainlang.runtime.ports.port import Port, Reply, new_id
from chainlang.runtime.ports.relay import Relay, Wait, runs
from chainlang.runtime.ports.sample_keys import KEY_FORMATS, KeyFormat, Keys, MakeKeys
from chainlang.store.sample_codec import Bounds, Drawn, Paid

_NOTHING = Usage()
_MOST = 1024  # bounds that are kept; of a run they are those of its stages, or of their rows


class Memory(Protocol):
    """A cache or journal of samples by key."""

    def find(self, keys: Iterable[bytes]) -> Mapping[bytes, Drawn]:
        """Return the samples of the keys that are present."""
        ...

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples; they are stored when this returns."""
        ...


class Ledger(Memory, Protocol):
    """The journal of a run, which also has the costs of its samples.

    A sample of any other memory was paid by another run.
    """

    def record(
        self, drawn: Mapping[bytes, Drawn], spent: Mapping[str, Decimal | None] = {}
    ) -> None:
        """Record samples, and what they cost by model."""
        ...

    @property
    def session(self) -> str:
        """Mark of this process."""
        ...

    def charge(self, key: bytes, paid: Paid, row: int) -> Decimal:
        """Return the cost of a sample for a row that has found it."""
        ...


def keeps_costs(memory: Memory) -> TypeGuard[Ledger]:
    """Return whether a memory is the journal of a run."""
    return getattr(memory, "keeps_costs", False)


def is_new(memory: Memory) -> bool:
    """Return whether a memory has keys of the newest format only."""
    return getattr(memory, "is_new", False)


@define(eq=False, kw_only=True)
class _Wait(Wait):
    """A request, the keys of its samples, and those that were found."""

    request: Request
    keys: Keys
    found: dict[int, Drawn] = field(factory=dict)
    """Samples by number."""
    too_long: set[int] = field(factory=set)
    """Numbers of the samples that are recorded as whole and do not fit the bounds."""
    usage: Usage = _NOTHING
    others: dict[str, Usage] = field(factory=dict)
    """Parts of the usage that are of other models, by model."""

    def count(self, reply: Completion) -> None:
        """Add the usage of a reply."""
        self.usage += reply.usage
        for model, usage in reply.others:
            self.others[model] = self.others.get(model, _NOTHING) + usage


WentOn: TypeAlias = tuple[int, int, str]
"""Position of a row, a number that rises with time, and the label or name of a stage."""
_ORDER = counting()


class RecordedPort:
    """A port that requests only those samples of an engine that a cache or journal lacks.

    Generated samples are recorded before they are returned, but for those that were refused, which
    are requested again as failed requests are. An entry under the key of another
    format than its own counts as missing; it is not replaced if that format is unknown.
    """

    __slots__ = (
        "_context", "_earlier", "_foreign", "_formats", "_keeps", "_known_bounds", "_makers",
        "_newest", "_relay", "engine", "inner", "memory", "taken", "went_on",
    )  # fmt: skip

    def __init__(
        self,
        inner: Port,
        memory: Memory,
        fingerprint: Fingerprint,
        formats: Mapping[int, KeyFormat] = KEY_FORMATS,
    ) -> None:
        self.inner = inner
        self.engine: Engine = inner.engine
        self.memory = memory
        self.taken = 0
        """Number of hits, in samples."""
        self.went_on: WentOn | None = None
        """The first request of the earliest row that has a missing sample."""
        context = fingerprint.get(CONTEXT)
        self._context = context if isinstance(context, int) else None
        self._known_bounds: dict[tuple[int, tuple[tuple[str, int], ...]], Bounds] = {}
        """Bounds of requests so far: those of a few stages."""
        self._formats = formats
        self._makers: dict[str, dict[int, MakeKeys]] = {"": _makers(formats, fingerprint)}
        """Functions that make keys, by adapter and format."""
        self._newest = next(iter(formats))
        self._earlier = () if is_new(memory) else tuple(formats)[1:]
        """Formats under which samples may be recorded that the newest does not find."""
        self._keeps = keeps_costs(memory)
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
            if self.went_on is None or request.row < self.went_on[0]:
                self.went_on = (request.row, next(_ORDER), request.step)
            if not found:  # as in most runs
                self._relay.ask(wait, request.id)
                missing.append(request)
                continue
            for first, count in runs(request.count, found):
                part = changed(
                    request,
                    id=new_id(),
                    seed=request.seed + first,
                    count=count,
                    first=request.first + first,
                )
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
            if isinstance(reply, Completion | Failure):
                drawn |= self._drawn(reply)
        if keeps_costs(self.memory):
            self.memory.record(drawn, self._spent(replies))
        else:
            self.memory.record(drawn)
        return [one for reply in replies for one in self._merged(reply)]

    def abort(self, ids: Iterable[str]) -> None:
        """Abort requests."""
        _, below = self._relay.drop(ids)
        self.inner.abort(below)

    def _look_up(self, requests: Iterable[Request]) -> list[_Wait]:
        """Return each request with its hits, under any format."""
        newest = self._newest
        waits = [_Wait(request=request, keys=self._keys(request, newest)) for request in requests]
        self._find(newest, [(wait, wait.keys) for wait in waits])
        for number in self._earlier:
            missing = [wait for wait in waits if len(wait.found) < wait.request.count]
            self._find(number, [(one, self._keys(one.request, number)) for one in missing])
        for wait in waits:
            wait.usage, wait.others = self._usage(wait)
        return waits

    def _keys(self, request: Request, number: int) -> Keys:
        """Return the keys of a request under a format, for the model with its adapter."""
        if request.effects and not self._keeps:  # another run may not have its effects
            return Keys([])
        made = self._makers.get(request.adapter)
        if made is None:
            fingerprint = fingerprint_of(self.engine, request.adapter)
            made = self._makers[request.adapter] = _makers(self._formats, fingerprint)
        return made[number](request)

    def _find(self, number: int, wanted: Sequence[tuple[_Wait, Keys]]) -> None:
        """Add the samples that are recorded under the keys of a format."""
        several: dict[bytes, None] = {}
        for _, keys in wanted:
            several |= dict.fromkeys(keys.bounded)
            several |= dict.fromkeys(keys.whole)
        known = self.memory.find(several) if several else {}
        for wait, keys in wanted if known else ():
            bounds = self._bounds(wait.request)
            for of_one in (keys.bounded, keys.whole):
                for sample, key in enumerate(of_one):
                    drawn = known.get(key)
                    if drawn is None:
                        continue
                    if drawn.format != number:
                        if drawn.format not in self._formats:
                            self._foreign.add(key)
                    elif bounds.holds(drawn):
                        wait.found.setdefault(sample, drawn)
                    else:
                        wait.too_long.add(sample)

    def _bounds(self, request: Request) -> Bounds:
        key = (request.sampling.max_tokens, request.budgets)
        found = self._known_bounds.get(key)
        if found is None:
            if len(self._known_bounds) >= _MOST:
                self._known_bounds.clear()
            found = self._known_bounds[key] = Bounds(key[0], self._context, key[1])
        return found

    def _drawn(self, reply: Completion | Failure) -> dict[bytes, Drawn]:
        """Return the samples of a reply by key; those of a failure, that are there."""
        wait = self._relay.wait_of(reply)
        assert wait is not None  # each submitted request has one until it is aborted
        first, request = wait.asked[reply.id], wait.request
        if request.effects and not self._keeps:
            return {}
        several = enumerate(reply.samples) if isinstance(reply, Completion) else iter(reply.samples)
        each = reply.usage.prompt_tokens // max(1, reply.usage.calls)
        found: dict[bytes, Drawn] = {}
        costs = self._costs(request, reply)
        # Further copies of a sample cost nothing, but of an unknown price all are unknown.
        further = ZERO if self._keeps and reply.usage.spent is not None else None
        bounds, keys, keeps, newest = self._bounds(request), wait.keys, self._keeps, self._newest
        for index, sample in several:
            number = first + index
            whole = self._is_whole(wait, number, sample)
            key = (keys.whole if whole else keys.bounded)[number]
            if key not in self._foreign and not sample.refusal and (keeps or not sample.model):
                cost = costs.get(index, further) if costs else further
                paid = (
                    None
                    if cost is None
                    else self._paid(sample.model or request.model, cost, request.row)
                )
                kept = sample if keeps or not sample.moved else evolve(sample, moved="")
                found[key] = Drawn(kept, each, newest, bounds if whole else None, paid)
        return found

    def _paid(self, model: str, cost: Decimal, row: int) -> Paid:
        session = self.memory.session if keeps_costs(self.memory) else ""
        return Paid(model, row, cost, session)

    def _usage(self, wait: _Wait) -> tuple[Usage, dict[str, Usage]]:
        """Return the usage of the hits when they were generated, so that a resumed row has it all.

        With it are the parts of it that are of other models. A sample of a journal has its cost,
        too; one of a cache was paid by another run.
        """
        others: dict[str, Usage] = {}
        if not wait.found:
            return _NOTHING, others
        total: list[Usage] = []
        for number in list(wait.found)[: wait.request.drawn]:  # equal samples are one
            one = wait.found[number]
            cost: Decimal | None = ZERO
            if keeps_costs(self.memory):
                cost = self._charged(wait, number, one, self.memory)
            usage = Usage(1, one.prompt_tokens, 0, one.sample.tokens, cost=cost)
            total.append(usage)
            if model := one.sample.model:
                others[model] = others.get(model, _NOTHING) + usage
        return Usage.total(total), others

    def _charged(self, wait: _Wait, number: int, drawn: Drawn, ledger: Ledger) -> Decimal | None:
        if drawn.paid is None:
            return None
        key = (wait.keys.whole or wait.keys.bounded)[number]
        return ledger.charge(key, drawn.paid, wait.request.row)

    def _spent(self, replies: Iterable[Reply]) -> dict[str, Decimal | None]:
        """Return the costs of replies by model."""
        found: dict[str, Decimal | None] = {}
        for reply in replies:
            wait = self._relay.wait_of(reply)
            if (
                wait is not None
                and isinstance(reply, Completion | Failure)
                and not reply.usage.is_empty
            ):
                several = (
                    used("", wait.request.model, reply)
                    if isinstance(reply, Completion) and reply.others
                    else ((("", wait.request.model), reply.usage),)
                )
                for (_, model), usage in several:
                    found[model] = plus(found.get(model, ZERO), usage.spent)
        return found

    def _costs(self, request: Request, reply: Completion | Failure) -> dict[int, Decimal]:
        """Return the costs of the samples of a reply by number, where they are kept."""
        usage = reply.usage
        has_others = isinstance(reply, Completion) and reply.others
        if not self._keeps or usage.is_empty or (usage.spent is None and not has_others):
            return {}
        several = dict(enumerate(reply.samples) if isinstance(reply, Completion) else reply.samples)
        kept = [number for number, one in several.items() if not one.refusal]
        found: dict[int, Decimal] = {}
        for (_, model), usage in used("", request.model, reply):
            own = [it for it in kept if (several[it].model or request.model) == model]
            own = own[: max(1, usage.calls)]
            if usage.spent is not None:
                found |= dict(zip(own, shares(usage.spent, len(own)), strict=True))
        return found

    def _is_whole(self, wait: _Wait, number: int, sample: Sample) -> bool:
        """Return whether a sample is recorded for all bounds that it fits.

        One that took the place of a longer one, on an engine whose samples are not a function of
        the seed, is not: a journal replaces nothing.
        """
        ended = sample.finish == "stop" and not sample.closed_fields
        return ended and bool(wait.keys.whole) and number not in wait.too_long

    def _merged(self, reply: Reply) -> list[Reply]:
        """Return the replies that follow from a reply to a part of a request."""
        wait = self._relay.wait_of(reply)
        if wait is None:  # another part of its request has failed in this very step
            return []
        name, first = wait.request.id, wait.asked[reply.id]
        if isinstance(reply, Delta):
            return [evolve(reply, id=name, sample=first + reply.sample)]
        self._relay.answer(reply.id)
        if isinstance(reply, Failure):
            self.abort([name])
            numbered = ((first + number, sample) for number, sample in reply.samples)
            return [evolve(reply, id=name, samples=(*_numbered(wait), *numbered))]
        if reply.id == name and not reply.usage.is_empty:  # it is the whole of its request
            self._relay.end(wait)
            return [reply]
        wait.found |= {first + n: Drawn(sample, 0) for n, sample in enumerate(reply.samples)}
        wait.count(reply)
        if wait.asked:
            return []
        self._relay.end(wait)
        return [_completion(wait)]


def _makers(formats: Mapping[int, KeyFormat], fingerprint: Fingerprint) -> dict[int, MakeKeys]:
    return {number: form(fingerprint) for number, form in formats.items()}


def _numbered(wait: _Wait) -> tuple[tuple[int, Sample], ...]:
    """Return the samples that are there, with their numbers."""
    return tuple((number, drawn.sample) for number, drawn in wait.found.items())


def _completion(wait: _Wait) -> Completion:
    request, found = wait.request, wait.found
    samples = tuple(found[number].sample for number in range(request.count))
    return Completion(request.id, samples, wait.usage, tuple(wait.others.items()))

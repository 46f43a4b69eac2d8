"""Which models live in memory together, and in which order they come, where not all of them fit."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import define, field, frozen

from chainlang.plan.steps import Fallback, Fork, Gather, Generate, Overlap, Route, Step
from chainlang.plan.visit import inner, models

_THOROUGH = 2_000
"""States that are looked at for the least number of loads; beyond, the best so far is gone on with,
one load after another."""


@frozen
class Residency:
    """The models that hold memory: how much each, how much there is, and which are there when.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> root = lower(chain("E:a >> J:b >> V:a").body).root
    >>> residency(root, {"a": 6, "b": 6}, memory=8).phases
    (('a',), ('b',), ('a',))
    >>> residency(root, {"a": 6, "b": 6}, memory=12).phases
    (('a', 'b'),)
    """

    sizes: Mapping[str, int]
    """Bytes, of each model that holds any."""
    memory: int
    """Bytes that there are for all of them."""
    phases: tuple[tuple[str, ...], ...] = ()
    """The models that are there together, one group after another. A model that only a later part
    of a `fallback` asks is in none, unless all fit together: it comes when it is needed."""
    loads: int = 0
    """How often a model is loaded for rows that go through the chain together, where nothing
    fails."""

    @property
    def together(self) -> bool:
        """Whether all fit together."""
        return sum(self.sizes.values()) <= self.memory

    @property
    def too_large(self) -> tuple[str, ...]:
        """The models that fit in no way."""
        return tuple(name for name, size in self.sizes.items() if size > self.memory)


@frozen
class _Stage:
    """A stage that asks a model, once the stages before it have been run for all rows."""

    model: str
    after: int
    """The stages before it, a bit for each."""


@frozen
class _State:
    """What has been run, which models are there, and how it came to that."""

    done: int = 0
    there: frozenset[str] = frozenset()
    phases: tuple[frozenset[str], ...] = ()
    """The groups so far, each with all that was there before the next model took a place."""
    loads: int = 0


def residency(
    root: Step, sizes: Mapping[str, int], memory: int, same: Mapping[str, str] | None = None
) -> Residency:
    """Return which models of a plan are there when, with as few loads as can be.

    `sizes` has the models that hold memory, and `same` those that are another one of them under a
    name of their own. All rows are taken through what the models that are
    there can do, before others come; equal numbers of loads take the fewer groups. Where a model
    fits in no way there are no groups.
    """
    if not sizes:  # most engines hold no memory here
        return Residency({}, memory)
    same = same or {}
    names = dict.fromkeys(same.get(name, name) for name in models(root))
    order = {name: at for at, name in enumerate(one for one in names if one in sizes)}
    sizes = {name: sizes[name] for name in order}
    found = Residency(sizes, memory)
    if found.too_large:
        return found
    if found.together:
        return Residency(sizes, memory, (tuple(order),) if order else (), len(order))
    stages = list[_Stage]()
    _collect(root, 0, lambda name: same.get(name, name), sizes, stages)
    best = _Search(stages, sizes, memory).least()
    phases = tuple(tuple(sorted(one, key=order.__getitem__)) for one in (*best.phases, best.there))
    return Residency(sizes, memory, phases, best.loads)


def _collect(
    step: Step,
    before: int,
    name: Callable[[str], str],
    sizes: Mapping[str, int],
    stages: list[_Stage],
) -> int:
    """Add the stages of a step that comes after others; return those that end it."""
    match step:
        case Generate(stage):
            if name(stage.model) not in sizes:
                return before
            stages.append(_Stage(name(stage.model), before))
            return before | 1 << len(stages) - 1
        case Gather() | Fork() | Overlap() | Route():
            ends = before
            for one in inner(step):
                ends |= _collect(one, before, name, sizes, stages)
            return ends
        case Fallback(steps):
            return _collect(steps[0], before, name, sizes, stages)
    for one in inner(step):
        before = _collect(one, before, name, sizes, stages)
    return before


@define
class _Search:
    """The search for the fewest loads, then the fewest groups."""

    stages: Sequence[_Stage]
    sizes: Mapping[str, int]
    memory: int
    known: dict[tuple[frozenset[str], int], list[frozenset[str]]] = field(factory=dict)
    """What may be kept, by what is there and by the room."""

    def least(self) -> _State:
        """Return the state in which everything has been run."""
        whole = (1 << len(self.stages)) - 1
        ties = itertools.count()
        heap = [(0, 0, next(ties), _State())]
        seen = set[tuple[int, frozenset[str]]]()
        while True:
            *_, state = heapq.heappop(heap)
            if state.done == whole:
                return state
            if (state.done, state.there) in seen:
                continue
            seen.add((state.done, state.there))
            if len(seen) > _THOROUGH:
                heap.clear()
            for one in self.next(state):
                heapq.heappush(heap, (one.loads, len(one.phases), next(ties), one))
            if len(seen) > _THOROUGH:
                heap = [max(heap, key=lambda entry: (entry[3].done.bit_count(), -entry[2]))]

    def next(self, state: _State) -> Iterator[_State]:
        """Yield what there may be after one more load, of a model that is waited for."""
        ready = dict.fromkeys(
            one.model
            for number, one in enumerate(self.stages)
            if not state.done >> number & 1 and one.after & ~state.done == 0
        )
        for model in ready:
            for kept in self.kept(state.there, self.memory - self.sizes[model]):
                there = kept | {model}
                ended = () if kept == state.there else (state.there,)
                done = self.run(state.done, there)
                yield _State(done, there, (*state.phases, *ended), state.loads + 1)

    def kept(self, there: frozenset[str], room: int) -> list[frozenset[str]]:
        """Return what may be kept, each time with as little gone as can be."""
        if (there, room) not in self.known:
            found = list[frozenset[str]]()
            for number in range(len(there), -1, -1):
                for chosen in map(frozenset, itertools.combinations(sorted(there), number)):
                    fits = sum(self.sizes[one] for one in chosen) <= room
                    if fits and not any(chosen < other for other in found):
                        found.append(chosen)
            self.known[there, room] = found
        return self.known[there, room]

    def run(self, done: int, there: frozenset[str]) -> int:
        """Return what has been run when all is that these can do; no stage precedes one before."""
        for number, one in enumerate(self.stages):
            if one.model in there and one.after & ~done == 0:
                done |= 1 << number
        return done

"""Schedule of model loading: which models are in memory together, and in which order."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Sequence as Several
from typing import assert_never

from attrs import define, field, frozen

from chainlang.plan.graph import wiring
from chainlang.plan.steps import (
    AskUntilAgreement,
    Call,
    Cascade,
    Count,
    Decide,
    Each,
    Fallback,
    Fork,
    Fused,
    Gather,
    Generate,
    Graph,
    Loop,
    Name,
    Repeat,
    Retry,
    Route,
    Sequence,
    Step,
    Timeout,
    WithFields,
)
from chainlang.plan.visit import inner, models
from chainlang.semantics.row_stages import asked

_THOROUGH = 2_000
"""Maximum number of states in the search for the fewest loads; beyond it, the search is greedy."""


@frozen
class Residency:
    """Memory of a plan's models, and the schedule of loading them.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> root = lower(chain("E:a >> J:b >> V:a").body).root
    >>> residency(root, {"a": 6, "b": 6}, memory=8).phases
    (('a',), ('b',), ('a',))
    >>> residency(root, {"a": 6, "b": 6}, memory=12).phases
    (('a', 'b'),)
    """

    sizes: Mapping[str, int]
    """Size in bytes of each model that holds memory."""
    memory: int
    """Available memory in bytes."""
    phases: tuple[tuple[str, ...], ...] = ()
    """Groups of models that are loaded together, in order. Unless all models fit, a model that only
    a later part of a `fallback` uses is in no group; it is loaded when needed."""
    loads: int = 0
    """Number of loads for a group of rows, if nothing fails."""

    @property
    def together(self) -> bool:
        """Whether all models fit into memory together."""
        return sum(self.sizes.values()) <= self.memory

    @property
    def too_large(self) -> tuple[str, ...]:
        """Models that don't fit into memory even alone."""
        return tuple(name for name, size in self.sizes.items() if size > self.memory)


@frozen
class _Stage:
    """A stage with a model, which runs after all rows have passed the stages before it."""

    model: str
    after: int
    """Bit set of the stages before it."""


@frozen
class _State:
    """State of the search: finished stages, loaded models, and the schedule so far."""

    done: int = 0
    """Bit set of the finished stages."""
    there: frozenset[str] = frozenset()
    """Loaded models."""
    phases: tuple[frozenset[str], ...] = ()
    """Groups so far, each as it was before a model was unloaded."""
    loads: int = 0


def residency(
    root: Step, sizes: Mapping[str, int], memory: int, same: Mapping[str, str] | None = None
) -> Residency:
    """Return the schedule of a plan with the fewest loads, then the fewest groups.

    `sizes`: size of each model that holds memory. `same`: models that are equal to another one,
    with its name. All rows pass the stages of the loaded models before others are loaded. If a
    model does not fit into memory even alone, there are no groups.
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
    """Add the stages of a step that comes after the stages `before`; return its last stages."""
    match step:
        case Generate(stage):
            ends = before
            for each in asked(stage):
                if name(each.model) in sizes:
                    stages.append(_Stage(name(each.model), before))
                    ends |= 1 << len(stages) - 1
            return ends
        case Graph(one):
            return _collect_graph(one, before, name, sizes, stages)
        case Gather() | Fork() | Route():
            ends = before
            for one in inner(step):
                ends |= _collect(one, before, name, sizes, stages)
            return ends
        case Fallback(steps):
            return _collect(steps[0], before, name, sizes, stages)
        case (
            Sequence()
            | Fused()
            | Decide()
            | AskUntilAgreement()
            | Repeat()
            | Name()
            | Retry()
            | Timeout()
            | Loop()
            | Each()
            | Cascade()
            | WithFields()
            | Count()
            | Call()
        ):
            for one in inner(step):
                before = _collect(one, before, name, sizes, stages)
            return before
    assert_never(step)


def _collect_graph(
    step: Step,
    before: int,
    name: Callable[[str], str],
    sizes: Mapping[str, int],
    stages: list[_Stage],
) -> int:
    """Add the stages of a graph, each after those that it waits for; return all last stages."""
    ends, last = list[int](), before
    for node in wiring(step, once=True).nodes:
        start = before
        for number in node.waits:
            start |= ends[number]
        ends.append(_collect(node.step, start, name, sizes, stages))
        last |= ends[-1]
    return last


@define
class _Search:
    """Search for the fewest loads, then the fewest groups."""

    stages: Several[_Stage]
    sizes: Mapping[str, int]
    memory: int
    known: dict[tuple[frozenset[str], int], list[frozenset[str]]] = field(factory=dict)
    """Cache of `kept`."""

    def least(self) -> _State:
        """Return the best state in which all stages are finished."""
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
        """Yield the states after loading one of the models that a stage waits for."""
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
        """Return the maximal sets of loaded models that fit into `room` bytes."""
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
        """Return the finished stages after running all that the loaded models can run."""
        for number, one in enumerate(self.stages):
            if one.model in there and one.after & ~done == 0:
                done |= 1 << number
        return done

"""What flows through a chain: records, and the candidates in them. Frozen values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from attrs import evolve, field, frozen

from chainlang.semantics.seeds import Place
from chainlang.semantics.template_values import View

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@frozen
class Candidate:
    """One answer on its way through a chain, with everything that is known of it."""

    answer: Any
    """What later stages and the vote read: a text, or a JSON value if its type names no answer."""
    fields: Mapping[str, Any] = field(default=_NOTHING, hash=False)
    """The fields of its type: ``verdict``, ``final_answer``, ..."""
    text: str = ""
    """What the model said, as it said it; empty where no model did."""
    finish: str = ""
    tokens: int = 0
    token_ids: tuple[int, ...] = field(default=(), repr=False)
    place: Place = ()
    """Where it was drawn."""
    value: Any = field(default=None, kw_only=True, hash=False, repr=False)
    """The reply as Python has it: an instance, where a class is bound to its type; else as JSON
    values; the text, where it has no type. None where no model said it."""
    unkept: tuple[str, ...] = field(default=(), kw_only=True, repr=False)
    """What of its type the engine did not hold the reply to; it was looked at afterwards."""
    reasoning: str = field(default="", kw_only=True, repr=False)
    """What the model thought before it said its text, where its engine returns that apart."""
    logprobs: tuple[float, ...] = field(default=(), kw_only=True, repr=False)
    """The logarithm of the probability of each token, where the stage says ``logprobs=true``."""

    @property
    def logprob(self) -> float | None:
        """The logarithm of the probability of the whole reply; None where nobody asked for it."""
        return math.fsum(self.logprobs) if self.logprobs else None

    def view(self) -> View:
        """Return the candidate as templates see it: its fields, and ``answer``."""
        return View({**self.fields, "answer": self.answer})


@frozen
class Stop:
    """What one stage yielded, on the way of a row: the stage, its place, and its candidates."""

    stage: str
    place: Place
    candidates: tuple[Candidate, ...]


@frozen
class Event:
    """Something that did not go the straight way: what stepped in, where, and why."""

    kind: Literal["fallback", "retry", "loop", "lossy"]
    """A part of a fallback after the first ran; something was drawn again; a loop ran out; a lossy
    pass left something out."""
    place: Place
    """Of the part that stepped in, of what was drawn again, of the loop, or of the vote."""
    message: str
    sample: int | None = None
    """The number of the sample that was drawn again, where it was one."""


@frozen(slots=False)  # see `Form`
class Record:
    """A row on its way through a chain: its fields, its candidates, and its named parts so far."""

    row: Mapping[str, Any] = field(hash=False)
    id: str
    query: str | None
    candidates: tuple[Candidate, ...] = ()
    history: Mapping[str, tuple[Candidate, ...]] = field(default=_NOTHING, hash=False)
    trace: tuple[Stop, ...] = field(default=(), repr=False)
    """What every stage yielded, in the order of the chain."""
    events: tuple[Event, ...] = field(default=(), repr=False)
    """What did not go the straight way, in the order of the chain."""
    local: Mapping[str, Any] = field(default=_NOTHING, hash=False, repr=False)
    """Names that only the part being run sees: the item of an `each`, the error of a `retry`."""
    number: int = field(default=0, eq=False, repr=False)
    """The line of the row in its source, or its position there, from 1."""

    def after(self, stage: str, place: Place, candidates: tuple[Candidate, ...]) -> Record:
        """Return the record behind a stage: its candidates replace those before it."""
        trace = (*self.trace, Stop(stage, place, candidates))
        return Record(  # `evolve` would take several times as long, and this is once a stage
            self.row,
            self.id,
            self.query,
            candidates,
            self.history,
            trace,
            self.events,
            self.local,
            self.number,
        )

    def named(self, name: str, candidates: tuple[Candidate, ...], *, own: bool = False) -> Record:
        """Return the record with the output of a named part added to its history.

        A name that nobody wrote, but an op has as its `own`, hides no field of the row.
        """
        if own and name in self.row:
            return self
        return evolve(self, history={**self.history, name: candidates})

    def noted(self, *events: Event) -> Record:
        """Return the record with more events."""
        return evolve(self, events=(*self.events, *events)) if events else self

    def inside(self, **local: Any) -> Record:
        """Return the record with more names that only the part being run sees."""
        return evolve(self, local={**self.local, **local})

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """What a template of a stage may read; made once, for all prompts and all replies."""
        found: dict[str, Any] = dict(self.row)
        for name, candidates in self.history.items():
            found[name] = part_view(candidates)
        if self.query is not None:
            found["query"] = self.query
        found["candidates"] = [one.view() for one in self.candidates]
        found.update(self.local)
        return found


def part_view(candidates: tuple[Candidate, ...]) -> View:
    """Return a named part as templates see it: ``answer``, ``candidates``, its first's fields."""
    views = [one.view() for one in candidates]
    if not candidates:
        return View({"candidates": views})
    first = candidates[0]
    return View({**first.fields, "answer": first.answer, "candidates": views})


# Names that earlier notations gave to what is called by another name here.
_ALIASES = {"synthesized_response": "final_answer"}


@frozen
class Part:
    """The output of a named part: its first candidate's answer and fields, and all candidates."""

    candidates: tuple[Candidate, ...]

    @property
    def answer(self) -> Any:
        """The answer of its first candidate, or None if it has none."""
        return self.candidates[0].answer if self.candidates else None

    def __getitem__(self, name: str) -> Any:
        return field_of(self.candidates, name)


def field_of(candidates: tuple[Candidate, ...], name: str) -> Any:
    """Return a field of the first candidate. Raises KeyError naming what there is."""
    fields = candidates[0].fields if candidates else {}
    key = name if name in fields else _ALIASES.get(name, name)
    if key not in fields:
        known = ", ".join(["answer", "responses", *fields])
        raise KeyError(f"there is no {name!r} here; there are {known}")
    return fields[key]


@frozen
class Branched:
    """Results that stay apart, under their names: labels, else positions."""

    results: tuple[tuple[str, Flow], ...]

    def records(self) -> Iterator[Record]:
        """Yield the records of all branches, in the order they are written."""
        for _, flow in self.results:
            if isinstance(flow, Branched):
                yield from flow.records()
            else:
                yield flow


Flow = Record | Branched


def numbered(flow: Flow, number: int) -> Flow:
    """Return what a row has become as that of an equal row, with another number in its source."""
    if isinstance(flow, Record):
        return evolve(flow, number=number)
    return Branched(tuple((name, numbered(one, number)) for name, one in flow.results))


def events_of(flow: Flow) -> tuple[Event, ...]:
    """Return the events of a row; those before it branched are there once."""
    if isinstance(flow, Record):
        return flow.events
    several = [events_of(one) for _, one in flow.results]
    first = several[0]
    shared = 0
    while shared < len(first) and all(one[: shared + 1] == first[: shared + 1] for one in several):
        shared += 1
    return (*first[:shared], *(event for one in several for event in one[shared:]))


def gathered(flows: list[Flow], before: Record) -> Record:
    """Return what a join makes of its operands: their candidates in order, their names together."""
    candidates: list[Candidate] = []
    history = dict(before.history)
    trace = list(before.trace)
    events = list(before.events)
    for flow in flows:
        for record in flow.records() if isinstance(flow, Branched) else (flow,):
            candidates += record.candidates
            history |= record.history
            trace += record.trace[len(before.trace) :]
            events += record.events[len(before.events) :]
    return evolve(
        before,
        candidates=tuple(candidates),
        history=history,
        trace=tuple(trace),
        events=tuple(events),
    )

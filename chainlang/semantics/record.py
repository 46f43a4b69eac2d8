"""Records, the state of a row in a chain, and the candidates in them. Frozen values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, assert_never

from attrs import evolve, field, frozen

from chainlang.protocol.messages import Message, TopLogprobs
from chainlang.protocol.quick_init import quick_init
from chainlang.semantics.events import Event
from chainlang.semantics.nothing import NOTHING
from chainlang.semantics.origin import NOWHERE, Origin
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.seeds import Place
from chainlang.semantics.template_values import View

_VALUES = "_values"


@quick_init
@frozen(weakref_slot=False)
class Candidate:
    """One candidate: a parsed sample, or a value of a function or a row."""

    answer: Any
    """Value for later stages and votes: a string, or a JSON value if its type has no answer."""
    fields: Mapping[str, Any] = field(default=NOTHING, hash=False)
    """Fields of its type: ``verdict``, ``final_answer``, ..."""
    text: str = ""
    """Reply of the model; empty if it is not from a model."""
    finish: str = ""
    tokens: int = 0
    token_ids: tuple[int, ...] = field(default=(), repr=False)
    place: Place = ()
    """Place of the sample."""
    value: Any = field(default=None, kw_only=True, hash=False, repr=False)
    """Reply as a Python value: an instance of the class bound to its type, else JSON values; the
    text without a type; None if it is not from a model."""
    unkept: tuple[str, ...] = field(default=(), kw_only=True, repr=False)
    """Parts of its type that the engine did not enforce; they were validated afterwards."""
    reasoning: str = field(default="", kw_only=True, repr=False)
    """Reasoning before the reply, from engines that return it separately."""
    logprobs: tuple[float, ...] = field(default=(), kw_only=True, repr=False)
    """Natural logarithm of the probability of each token, with ``logprobs=true``."""
    top_logprobs: tuple[TopLogprobs, ...] = field(default=(), kw_only=True, repr=False)
    """With ``logprobs=k``, for each token: its text and log probability, then those of the k
    likeliest tokens, the most likely first."""
    stop: str | int | None = field(default=None, kw_only=True, repr=False)
    """Stop string, or id of the stop token, that ended the reply; None if neither did, or if the
    engine does not say."""
    model: str = field(default="", kw_only=True, repr=False)
    """Model that answered: that of its stage, or one of `fallback_models`; empty if it is not from
    a model."""
    switched: str = field(default="", kw_only=True, repr=False)
    """Failures of the models that were asked before it; empty if the stage's own answered."""
    choices: Mapping[str, float] = field(default=NOTHING, kw_only=True, hash=False, repr=False)
    """With ``choices=true``, the probability of each answer that its type allows."""
    messages: tuple[Message, ...] = field(default=(), kw_only=True, repr=False)
    """Messages that its model was sent; empty if it is not from a model."""
    picked: tuple[Message, ...] | None = field(default=None, kw_only=True, repr=False)
    """Conversation of the candidate that its stage has picked; None if the stage picks none."""

    @property
    def conversation(self) -> tuple[Message, ...]:
        """Messages that an op with ``continues=true`` goes on from; empty if it is from no model.

        They are those that its model was sent, without calls of tools, which other models may not
        take, and its reply. What a stage has picked keeps its own.
        """
        if self.picked is not None or not self.messages:
            return self.picked or ()
        said = [one for one in self.messages if not (one.calls or one.call_id)]
        return (*said, Message("assistant", self.text))

    @property
    def logprob(self) -> float | None:
        """Natural logarithm of the probability of the whole reply; None without `logprobs`."""
        return math.fsum(self.logprobs) if self.logprobs else None

    def with_answer(self, answer: Any, fields: Mapping[str, Any]) -> Candidate:
        """Return the candidate with another answer and other fields."""
        return Candidate(  # `evolve` takes several times as long, and this runs for every vote
            answer,
            fields,
            self.text,
            self.finish,
            self.tokens,
            self.token_ids,
            self.place,
            value=self.value,
            unkept=self.unkept,
            reasoning=self.reasoning,
            logprobs=self.logprobs,
            top_logprobs=self.top_logprobs,
            stop=self.stop,
            model=self.model,
            switched=self.switched,
            choices=self.choices,
            messages=self.messages,
            picked=self.picked,
        )

    def view(self) -> View:
        """Return the candidate as a template value: its fields, ``answer``, and its reasoning."""
        return View({**self.fields, "answer": self.answer}, self.reasoning)


@quick_init
@frozen(weakref_slot=False)
class TraceEntry:
    """A completed stage of a row: its name, its place, and its candidates."""

    stage: str
    place: Place
    candidates: tuple[Candidate, ...]
    arms: tuple[str, ...] = field(default=(), eq=False)
    """Keys of the arms of routes around it, whose stages may share a place; for tables alone."""


@frozen(slots=False)  # see `Form`
class Record:
    """State of a row in a chain: its fields, its candidates, and its named parts so far."""

    row: Mapping[str, Any] = field(hash=False)
    id: str
    query: Any = field(hash=False)
    """Value of ``query`` in templates; None without any."""
    candidates: tuple[Candidate, ...] = ()
    history: Mapping[str, tuple[Candidate, ...]] = field(default=NOTHING, hash=False)
    trace: tuple[TraceEntry, ...] = field(default=(), repr=False)
    """Candidates of all stages so far, in the order of the chain."""
    events: tuple[Event, ...] = field(default=(), repr=False)
    """Events so far, in the order of the chain."""
    local: Mapping[str, Any] = field(default=NOTHING, hash=False, repr=False)
    """Names visible in the current part only: the item of an `each`, the error of a `retry`."""
    origin: Origin = field(default=NOWHERE, eq=False, repr=False)
    """Position of the row in its source."""
    equal_to: str | None = field(default=None, eq=False, repr=False)
    """Label of an earlier row with the same identity, if there is one."""
    extra: Mapping[str, Any] = field(default=NOTHING, eq=False, repr=False)
    """Columns of the row that `input` does not declare; only results and tables have them."""
    of_row: tuple[Event, ...] = field(default=(), eq=False, repr=False)
    """Events of the row as it was read, before any part of the chain."""

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for a pickle: all but what is computed from it."""
        return {name: value for name, value in vars(self).items() if name != _VALUES}

    def after(
        self,
        stage: str,
        place: Place,
        candidates: tuple[Candidate, ...],
        arms: tuple[str, ...] = (),
    ) -> Record:
        """Return the record after a stage, with the candidates of the stage."""
        entry = TraceEntry(stage, place, candidates, arms)
        return self._with(candidates, self.history, (*self.trace, entry), self.events)

    def _with(
        self,
        candidates: tuple[Candidate, ...],
        history: Mapping[str, tuple[Candidate, ...]],
        trace: tuple[TraceEntry, ...],
        events: tuple[Event, ...],
    ) -> Record:
        """Return the record in another state of its row."""
        return Record(  # `evolve` takes several times as long, and this runs for every stage
            self.row,
            self.id,
            self.query,
            candidates,
            history,
            trace,
            events,
            self.local,
            self.origin,
            self.equal_to,
            self.extra,
            self.of_row,
        )

    def holding(self, candidates: tuple[Candidate, ...]) -> Record:
        """Return the record with other candidates."""
        return self._with(candidates, self.history, self.trace, self.events)

    def reading(
        self, candidates: tuple[Candidate, ...], history: Mapping[str, tuple[Candidate, ...]]
    ) -> Record:
        """Return the record with other candidates and named parts."""
        return self._with(candidates, history, self.trace, self.events)

    def named(self, name: str, candidates: tuple[Candidate, ...], *, own: bool = False) -> Record:
        """Return the record with the output of a named part added to its history.

        With `own`, an implicit label, the name does not hide a field of the row.
        """
        if own and name in self.row:
            return self
        history = {**self.history, name: candidates}
        return self._with(self.candidates, history, self.trace, self.events)

    def noted(self, *events: Event) -> Record:
        """Return the record with more events."""
        if not events:
            return self
        return self._with(self.candidates, self.history, self.trace, (*self.events, *events))

    def inside(self, **local: Any) -> Record:
        """Return the record with more local names."""
        return evolve(self, local={**self.local, **local})

    @property
    def values(self) -> Mapping[str, Any]:
        """Values that templates can read; cached."""
        if (known := vars(self).get(_VALUES)) is not None:  # a cached property takes a lock
            return known  # type: ignore[no-any-return]
        found: dict[str, Any] = dict(self.row)
        if self.history is not NOTHING:
            for name, candidates in self.history.items():
                found[name] = part_view(candidates)
        if self.query is not None:
            found["query"] = self.query
        found["candidates"] = [one.view() for one in self.candidates]
        if self.local is not NOTHING:
            found.update(self.local)
        vars(self)[_VALUES] = found
        return found

    def values_for(self, read: frozenset[str]) -> dict[str, Any]:
        """Return the values without the parts that are not read: which there are may vary.

        A step that starts early has no other parts, nor has a loop the number of a round that
        nothing reads, and errors list the names that there are.
        """
        unread = (self.history.keys() - self.local.keys()) | (self.local.keys() & {"round"})
        unread -= read
        return {name: value for name, value in self.values.items() if name not in unread}


def part_view(candidates: tuple[Candidate, ...]) -> View:
    """Return a named part as a template value: ``answer``, ``candidates``, first fields."""
    views = [one.view() for one in candidates]
    if not candidates:
        return View({"candidates": views})
    first = candidates[0]
    values = {**first.fields, "answer": first.answer, "candidates": views}
    return View(values, first.reasoning)


@frozen
class Branched:
    """Separate results of a branch, by label or position; of an arm that failed, its failure."""

    results: tuple[tuple[str, Flow], ...]
    start: Record
    """The record before the branch, whose parts, trace and events all arms share."""

    def records(self) -> Iterator[Record]:
        """Yield the records of all arms that succeeded, in written order."""
        for _, flow in self.results:
            if isinstance(flow, Branched):
                yield from flow.records()
            elif isinstance(flow, Record):
                yield flow


Flow = Record | Branched | RowFailure
"""Result of a row or of an arm; only an arm of a branch that stays apart has a failure as one."""


def moved(flow: Flow, row: Record) -> Flow:
    """Return the result of a row as that of an equal row, which starts as `row`."""
    match flow:
        case Record():
            return evolve(flow, origin=row.origin, extra=row.extra)
        case Branched(results, start):
            arms = tuple((name, moved(one, row)) for name, one in results)
            return Branched(arms, evolve(start, origin=row.origin, extra=row.extra))
        case RowFailure():
            return flow
    assert_never(flow)


def failures_of(flow: Flow) -> tuple[RowFailure, ...]:
    """Return the failures of all arms, in written order."""
    match flow:
        case Record():
            return ()
        case Branched(results):
            return tuple(failure for _, arm in results for failure in failures_of(arm))
        case RowFailure():
            return (flow,)
    assert_never(flow)


def events_of(flow: Flow, before: int = 0) -> tuple[Event, ...]:
    """Return the events of a row after the first `before`, those before a branch once."""
    match flow:
        case Record():
            return flow.events[before:]
        case Branched(results, start):
            several = (events_of(one, len(start.events)) for _, one in results)
            return (*start.events[before:], *(event for one in several for event in one))
        case RowFailure():
            return flow.events[before:]
    assert_never(flow)


def trace_of(flow: Flow, path: str = "", before: int = 0) -> Iterator[tuple[str, TraceEntry]]:
    """Yield the completed stages of a row, each with its branch, those before a branch once.

    A failure has those up to it, and what was sampled of the stage that failed.
    """
    match flow:
        case Record():
            yield from ((path, entry) for entry in flow.trace[before:])
        case Branched(results, start):
            yield from ((path, entry) for entry in start.trace[before:])
            for name, one in results:
                yield from trace_of(one, below(path, name), len(start.trace))
        case RowFailure():
            yield from ((path, entry) for entry in flow.trace[before:])
        case _:
            assert_never(flow)


def below(path: str, name: str) -> str:
    """Return the path of an arm inside another.

    >>> below("", "fr"), below("fr", "0")
    ('fr', 'fr.0')
    """
    return f"{path}.{name}" if path else name


def gathered(flows: list[Flow], before: Record, since: Record | None = None) -> Record:
    """Join records: concatenate their candidates, and merge what they added to the record.

    `since` is the record that they began with; default: `before`.
    """
    since = before if since is None else since
    candidates: list[Candidate] = []
    history = dict(before.history)
    trace = list(before.trace)
    events = list(before.events)
    for flow in flows:
        records: Iterable[Record] = ()  # of an arm that failed before another ended the row
        if isinstance(flow, Record):
            records = (flow,)
            events += flow.events[len(since.events) :]
            trace += flow.trace[len(since.trace) :]
        else:
            records = flow.records() if isinstance(flow, Branched) else ()
            events += events_of(flow, len(since.events))
            trace += [entry for _, entry in trace_of(flow, before=len(since.trace))]
        for record in records:
            candidates += record.candidates
            if record.history is not since.history:
                history |= added(record.history, since.history)
    return before._with(tuple(candidates), history, tuple(trace), tuple(events))


Parts = Mapping[str, tuple[Candidate, ...]]


def added(history: Parts, since: Parts) -> Parts:
    """Return the named parts that were made since: one of an earlier round is not."""
    if not since:
        return history
    return {name: one for name, one in history.items() if since.get(name) is not one}

"""Generation: the requests of one stage of a row, its candidates, and retries of bad replies."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

from attrs import evolve, frozen

from chainlang.plan.steps import LARGEST_REQUEST, Generate
from chainlang.protocol.messages import Completion, Failure, Message, Request, Sample, changed
from chainlang.protocol.quick_init import quick_init
from chainlang.runtime.effects import All, Ask, Effect, RowContext, RowFailed, failed
from chainlang.runtime.requests import SampleRange, request_of
from chainlang.runtime.retry import retried
from chainlang.runtime.stream import DeltaSink
from chainlang.semantics.combinators import DECIDED, Attempt, further
from chainlang.semantics.events import Event
from chainlang.semantics.record import Candidate, Record
from chainlang.semantics.row_stages import deciders, for_record
from chainlang.semantics.sampled import FailedSample, ended, noted, too_few
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stage_replies import candidate_of
from chainlang.semantics.stages import readings
from chainlang.semantics.tool_rounds import Beginning, calls_tools, rounds
from chainlang.semantics.wiring import fed

_UNKEPT = attrgetter("unkept")


class _SampleOutcome(NamedTuple):
    """A sample: its prompt, its number, its candidate or error, and its events."""

    number: int
    sample: int
    made: Candidate | StageError | Beginning
    """A sample that calls tools is the beginning of a conversation."""
    events: tuple[Event, ...] = ()


@quick_init
@frozen(weakref_slot=False)
class _StageRun:
    """A stage of a row in progress."""

    step: Generate
    record: Record
    context: RowContext
    place: Place
    reads: tuple[Candidate | None, ...]

    def ranges(self, start: int, stop: int) -> list[SampleRange]:
        """Return the samples from `start` to `stop` of each prompt, in order."""
        most = LARGEST_REQUEST if self.step.together else 1
        size = stop - start
        if size <= most:
            numbers = range(len(self.reads))
            return [SampleRange(one, start, size, self.record, self.at(one)) for one in numbers]
        return [
            SampleRange(number, first, min(most, stop - first), self.record, self.at(number))
            for number in range(len(self.reads))
            for first in range(start, stop, most)
        ]

    def at(self, number: int, attempt: int = 0) -> Place:
        """Return the place of a prompt at an attempt."""
        place = further(self.place, self.step.tries.mark, attempt) if attempt else self.place
        return place if self.reads[number] is None else (*place, f"c{number}")

    def ask(self, ranges: Sequence[SampleRange]) -> tuple[Ask, dict[int, StageError]]:
        """Return the effect that requests samples, and the errors of prompts by index.

        Raises `RowFailed` if the requests exceed the row's budget.
        """
        requests: list[Request] = []
        unmade: dict[int, StageError] = {}
        stage = self.step.stage.name
        for index, samples in enumerate(ranges):
            try:
                read = self.reads[samples.number]
                requests.append(request_of(self.step, self.record.id, self.context, samples, read))
            except StageError as error:
                unmade[index] = error
        if self.context.budget.counts:
            try:
                self.context.budget.charge(requests)
            except StageError as error:
                span = self.step.stage.span
                raise failed(error, stage, self.place, self.record, span=span) from error
        listener = None if self.step.stage.tools else self.context.listener
        if listener is None or self.step.place not in listener.places:
            return Ask(tuple(requests), stage), unmade
        asked = (samples for index, samples in enumerate(ranges) if index not in unmade)
        places = tuple((samples.place, samples.first) for samples in asked)
        sink = DeltaSink(listener.callback, stage, places)
        return Ask(tuple(changed(one, stream=True) for one in requests), stage, sink), unmade

    def receive(
        self,
        ranges: Sequence[SampleRange],
        asked: Ask,
        unmade: Mapping[int, StageError],
        replies: Sequence[Completion | Failure],
    ) -> list[_SampleOutcome]:
        """Return the requested samples, in order."""
        if self.context.budget.counts:
            for request, reply in zip(asked.requests, replies, strict=True):
                self.context.budget.settle(request, reply)
        if asked.sink is not None:
            for number, reply in enumerate(replies):
                if isinstance(reply, Completion):
                    asked.sink.finish(number, reply.samples)
        came = zip(replies, asked.requests, strict=True)
        found: list[_SampleOutcome] = []
        for index, samples in enumerate(ranges):
            if unmade and index in unmade:
                found += self.lost(samples, unmade[index])
                continue
            reply, request = next(came)
            if isinstance(reply, Failure):
                found += self.lost(samples, StageError.of(reply))
                continue
            for number, sample in enumerate(reply.samples, samples.first):
                if self.step.stage.tools and calls_tools(sample):
                    found.append(self.begun(samples, number, sample, request))
                else:
                    found.append(self.whole(samples, number, sample, request.messages))
        return found

    def lost(self, samples: SampleRange, error: StageError) -> list[_SampleOutcome]:
        """Return the samples of a request that failed."""
        numbers = range(samples.first, samples.first + samples.size)
        return [_SampleOutcome(samples.number, number, error) for number in numbers]

    def begun(
        self, samples: SampleRange, number: int, sample: Sample, request: Request
    ) -> _SampleOutcome:
        """Return a sample that calls tools, and so begins a conversation."""
        seeds = self.context.run.seed, self.record.id
        made = Beginning(request, sample, number, samples.place, *seeds)
        return _SampleOutcome(samples.number, number, made)

    def whole(
        self, samples: SampleRange, number: int, sample: Sample, prompt: tuple[Message, ...]
    ) -> _SampleOutcome:
        """Return a sample that has come to its end, with the messages that it follows."""
        stage, read = self.step.stage, self.reads[samples.number]
        made: Candidate | StageError
        try:
            made = candidate_of(stage, samples.start, read, sample, samples.place, prompt)
        except StageError as error:
            made = error
        events = noted(stage, sample, samples.place, number)
        if stage.tools:
            self.tell(sample, samples.place, number)
        return _SampleOutcome(samples.number, number, made, events)

    def tell(self, sample: Sample, place: Place, number: int) -> None:
        """Stream a sample as a whole: which reply is the last is known when it has ended."""
        listener, name = self.context.listener, self.step.stage.name
        if listener is not None and self.step.place in listener.places:
            sink = DeltaSink(listener.callback, name, ((place, number),))
            sink.finish(0, (sample,))

    def with_tools(
        self, outcomes: list[_SampleOutcome], ranges: Sequence[SampleRange]
    ) -> Generator[Effect, Any, list[_SampleOutcome]]:
        """Return samples after the conversations with tools that some of them begin."""
        starts = {(one.number, one.place): one for one in ranges}
        begun = {
            at: (one, one.made)
            for at, one in enumerate(outcomes)
            if isinstance(one.made, Beginning)
        }
        if not begun:
            return outcomes
        works = (self.talk(starts[one.number, first.place], first) for one, first in begun.values())
        ended = yield All(tuple(works), to_end=True)
        for at, one in zip(begun, ended, strict=True):
            if isinstance(one, RowFailed):  # the row's budget is used up
                raise one
            outcomes[at] = one
        return outcomes

    def talk(
        self, samples: SampleRange, begun: Beginning
    ) -> Generator[Effect, Any, _SampleOutcome]:
        """Return the sample at the end of a conversation with tools."""
        stage, events = self.step.stage, list[Event]()
        conversation = rounds(stage, begun, events)
        requests = next(conversation)
        try:
            while True:
                asked = tuple(one for one in requests if one.model == begun.request.model)
                try:
                    self.context.budget.charge(asked)
                except StageError as error:
                    raise failed(
                        error, stage.name, self.place, self.record, span=stage.span
                    ) from error
                replies = yield Ask(requests, stage.name)
                if self.context.budget.counts:
                    for request, reply in zip(requests, replies, strict=True):
                        if request.model == begun.request.model:
                            self.context.budget.settle(request, reply)
                requests = conversation.send(replies)
        except StopIteration as stop:
            sample, prompt = stop.value
            one = self.whole(samples, begun.number, sample, prompt)
            return one._replace(events=(*events, *one.events))
        except StageError as error:
            return _SampleOutcome(samples.number, begun.number, error, tuple(events))

    def again(self, bad: _SampleOutcome) -> Generator[Effect, Any, _SampleOutcome]:
        """Retry a failed sample; return it, or its last failure."""
        events: list[Event] = []
        place = partial(self.at, bad.number)

        def run(one: Attempt) -> Generator[Effect, Any, Candidate]:
            outcome = bad  # it was sampled with the others
            if one.number > 1:
                samples = SampleRange(bad.number, bad.sample, 1, one.record, place(one.attempt))
                asked, unmade = self.ask([samples])
                found = self.receive([samples], asked, unmade, (yield asked))
                (outcome,) = yield from self.with_tools(found, [samples])
            events.extend(outcome.events)
            assert not isinstance(outcome.made, Beginning)
            if isinstance(outcome.made, StageError):
                raise outcome.made
            return outcome.made

        made: Candidate | StageError
        try:
            made = yield from retried(
                self.step.tries,
                Attempt(self.record),
                run,
                events,
                error=StageError,
                place=place,
                sample=bad.sample,
            )
        except StageError as error:
            made = error
        return _SampleOutcome(bad.number, bad.sample, made, tuple(events))

    def wave(self, start: int, stop: int) -> Generator[Effect, Any, list[_SampleOutcome]]:
        """Generate the samples from `start` to `stop`, with retries."""
        ranges = self.ranges(start, stop)
        asked, unmade = self.ask(ranges)
        outcomes = self.receive(ranges, asked, unmade, (yield asked))
        if self.step.stage.tools:
            outcomes = yield from self.with_tools(outcomes, ranges)
        if self.step.tries.times == 1:
            return outcomes
        bad = {index: one for index, one in enumerate(outcomes) if isinstance(one.made, StageError)}
        if bad:
            resampled = yield All(tuple(self.again(one) for one in bad.values()))
            for index, one in zip(bad, resampled, strict=True):
                if isinstance(one, RowFailed):  # the row's budget is used up
                    before = (event for each in outcomes[:index] for event in each.events)
                    raise one.happened((*self.record.events, *before))
                outcomes[index] = one
        return outcomes


def generate(
    step: Generate,
    record: Record,
    context: RowContext,
    needed: Callable[[tuple[Candidate, ...], int], int] | None = None,
) -> Generator[Effect, Any, Record]:
    """Return the work of a stage. It raises `RowFailed`.

    `needed` takes the candidates so far and the number of remaining samples, and returns the number
    to request next; without it all samples are requested at once.
    """
    stage, place = step.stage, context.place(step.place)
    try:
        record = fed(record, stage.of)
        if stage.by_row is not None:
            decided: dict[str, Any] = {}
            for name, decider in deciders(stage):
                own = (*step.place, f"{DECIDED}{name}")
                first = Generate(decider, own, step.tries, arms=step.arms)
                after = yield from generate(first, record, context)
                decided[name] = after.candidates[0].answer
            stage = for_record(stage, record, decided)
            step = evolve(step, stage=stage)
        run = _StageRun(step, record, context, place, readings(stage, record))
    except StageError as error:
        raise failed(error, stage.name, place, record, span=stage.span) from error
    failures: list[FailedSample] = []
    candidates: list[Candidate] = []
    start = 0
    while start < stage.count:
        left = stage.count - start
        stop = stage.count if needed is None else start + needed(tuple(candidates), left)
        if stop == start:
            break
        wave = yield from run.wave(start, stop)
        start = stop
        for number, sample, made, events in wave:
            if events:
                record = record.noted(*events)
            if isinstance(made, Candidate):
                candidates.append(made)
            elif isinstance(made, StageError):
                failures.append(FailedSample(made, sample, run.at(number)))
        left = (stage.count - start) * len(run.reads)
        if failures and (why := too_few(stage, candidates, failures, left)) is not None:
            bad = failures[0]
            if candidates:
                record = record.after(stage.name, place, tuple(candidates), step.arms)
            raise failed(why, stage.name, bad.place, record, bad.number, stage.span)
    if failures or any(map(_UNKEPT, candidates)):
        record = record.noted(*ended(place, candidates, failures))
    return record.after(stage.name, place, tuple(candidates), step.arms)

"""Generation: the requests of one stage of a row, its candidates, and retries of bad replies."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from attrs import evolve, frozen

from chainlang.plan.steps import LARGEST_REQUEST, Generate
from chainlang.protocol.messages import Completion, Failure, Request
from chainlang.runtime.effects import All, Ask, Effect, RowContext, RowFailed, failed
from chainlang.runtime.ports.port import new_id
from chainlang.runtime.retry import retried
from chainlang.runtime.stream import DeltaSink
from chainlang.semantics.combinators import Attempt, further
from chainlang.semantics.record import Candidate, Event, Record
from chainlang.semantics.seeds import Place, seed
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stages import candidate_of, choices, messages, readings, schema

Drawn: TypeAlias = "Candidate | _Bad"


@frozen
class _Draw:
    """Samples of one prompt that share a request."""

    number: int
    """Number of the prompt; a map has one for each candidate."""
    first: int
    """Number of the first sample."""
    count: int
    start: Record
    """Record that the prompt reads."""
    place: Place


@frozen
class _Bad:
    """A failed sample: its prompt, its number, and the error."""

    number: int
    sample: int
    error: StageError


@frozen
class _Drawing:
    """A stage of a row in progress."""

    step: Generate
    record: Record
    context: RowContext
    place: Place
    reads: tuple[Candidate | None, ...]

    def draws(self, start: int, stop: int) -> list[_Draw]:
        """Return the samples from `start` to `stop` of each prompt, in order."""
        most = LARGEST_REQUEST if self.step.together else 1
        return [
            _Draw(number, first, min(most, stop - first), self.record, self.at(number))
            for number in range(len(self.reads))
            for first in range(start, stop, most)
        ]

    def at(self, number: int, attempt: int = 0) -> Place:
        """Return the place of a prompt at an attempt."""
        place = further(self.place, self.step.tries.mark, attempt)
        return place if self.reads[number] is None else (*place, f"c{number}")

    def ask(self, draws: Sequence[_Draw]) -> tuple[Ask, dict[int, StageError]]:
        """Return the effect that requests samples, and the errors of prompts by index.

        Raises `RowFailed` if the requests exceed the row's budget.
        """
        requests: list[Request] = []
        unmade: dict[int, StageError] = {}
        for index, draw in enumerate(draws):
            try:
                requests.append(self.request(draw))
            except StageError as error:
                unmade[index] = error
        try:
            self.context.budget.charge(requests)
        except StageError as error:
            stage = self.step.stage
            raise failed(error, stage.name, self.place, span=stage.span) from error
        listener = self.context.listener
        if listener is None or self.step.place not in listener.places:
            return Ask(tuple(requests)), unmade
        asked = (draw for index, draw in enumerate(draws) if index not in unmade)
        places = tuple((draw.place, draw.first) for draw in asked)
        sink = DeltaSink(listener.callback, self.step.stage.name, places)
        return Ask(tuple(evolve(one, stream=True) for one in requests), sink), unmade

    def receive(
        self,
        draws: Sequence[_Draw],
        asked: Ask,
        unmade: Mapping[int, StageError],
        replies: Sequence[Completion | Failure],
    ) -> list[Drawn]:
        """Return the candidates and failures of the requested samples, in order."""
        for request, reply in zip(asked.requests, replies, strict=True):
            self.context.budget.settle(request, reply)
        if asked.sink is not None:
            for number, reply in enumerate(replies):
                if isinstance(reply, Completion):
                    asked.sink.finish(number, reply.samples)
        came = iter(replies)
        return [
            made
            for index, draw in enumerate(draws)
            for made in self.made(draw, unmade[index] if index in unmade else next(came))
        ]

    def request(self, draw: _Draw) -> Request:
        """Return the request of some samples. Raises `StageError` for an invalid prompt."""
        stage, context = self.step.stage, self.context
        limits = context.limits
        return Request(
            id=new_id(),
            model=stage.model,
            messages=messages(stage, draw.start, self.reads[draw.number]),
            sampling=stage.sampling,
            seed=seed(context.run_seed, self.record.id, draw.place) + draw.first,
            count=draw.count,
            schema=schema(stage, draw.start),
            lenient=True,  # the reply is validated for what the engine does not enforce
            logprobs=stage.logprobs,
            priority=-self.step.depth,
            redraw=context.redraw,
            tracing=context.tracing or None,
            shared=self.step.shared,
            choices=self.choices(draw),
            deadline=limits.call_seconds,
            patience=limits.patience,
        )

    def choices(self, draw: _Draw) -> tuple[str, ...]:
        """Return the possible replies, if a reply may stop once one of them is left."""
        if not self.step.until_decided:
            return ()
        return choices(self.step.stage, len(draw.start.candidates))

    def made(self, draw: _Draw, reply: Completion | Failure | StageError) -> Iterator[Drawn]:
        """Yield the candidate or failure of each sample of a reply."""
        if not isinstance(reply, Completion):
            error = StageError.of(reply) if isinstance(reply, Failure) else reply
            for number in range(draw.first, draw.first + draw.count):
                yield _Bad(draw.number, number, error)
            return
        read = self.reads[draw.number]
        for number, sample in enumerate(reply.samples, draw.first):
            try:
                yield candidate_of(self.step.stage, draw.start, read, sample, draw.place)
            except StageError as error:
                yield _Bad(draw.number, number, error)

    def again(self, bad: _Bad) -> Generator[Effect, Any, tuple[Drawn, list[Event]]]:
        """Retry a failed sample; return its candidate or last failure, and the events."""
        events: list[Event] = []
        place = partial(self.at, bad.number)

        def run(one: Attempt) -> Generator[Effect, Any, Candidate]:
            if one.number == 1:  # it was sampled with the others
                raise bad.error
            draw = _Draw(bad.number, bad.sample, 1, one.record, place(one.attempt))
            asked, unmade = self.ask([draw])
            (drawn,) = self.receive([draw], asked, unmade, (yield asked))
            if isinstance(drawn, _Bad):
                raise drawn.error
            return drawn

        try:
            drawn = yield from retried(
                self.step.tries,
                Attempt(self.record),
                run,
                events,
                error=StageError,
                place=place,
                sample=bad.sample,
            )
        except StageError as error:
            return evolve(bad, error=error), events
        return drawn, events

    def failed(self, bad: _Bad) -> RowFailed:
        """Return the failure of a sample."""
        stage = self.step.stage
        return failed(bad.error, stage.name, self.at(bad.number), bad.sample, stage.span)

    def wave(
        self, start: int, stop: int
    ) -> Generator[Effect, Any, tuple[list[Drawn], list[Event]]]:
        """Generate the samples from `start` to `stop`, with retries; return them and the events."""
        draws, events = self.draws(start, stop), list[Event]()
        asked, unmade = self.ask(draws)
        drawn = self.receive(draws, asked, unmade, (yield asked))
        bad = {index: one for index, one in enumerate(drawn) if isinstance(one, _Bad)}
        if bad and self.step.tries.times > 1:
            redrawn = yield All(tuple(self.again(one) for one in bad.values()))
            for index, (one, noted) in zip(bad, redrawn, strict=True):
                drawn[index] = one
                events += noted
        return drawn, events


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
        drawing = _Drawing(step, record, context, place, readings(stage, record))
    except StageError as error:
        raise failed(error, stage.name, place, span=stage.span) from error
    failures: list[_Bad] = []
    candidates: list[Candidate] = []
    start = 0
    while start < stage.count:
        left = stage.count - start
        stop = stage.count if needed is None else start + needed(tuple(candidates), left)
        if stop == start:
            break
        wave, events = yield from drawing.wave(start, stop)
        record, start = record.noted(*events), stop
        for one in wave:
            if isinstance(one, _Bad):
                failures.append(one)
            else:
                candidates.append(one)
        most = len(candidates) + (stage.count - start) * len(drawing.reads)  # if no more fail
        if failures and (stage.need is None or most < stage.need):
            raise drawing.failed(failures[0])
    return record.after(stage.name, place, tuple(candidates))

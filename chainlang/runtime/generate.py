"""A stage of one row: what it asks, and its candidates; and again, where replies are bad."""

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
from chainlang.runtime.stream import Ear
from chainlang.semantics.combinators import Try, further
from chainlang.semantics.record import Candidate, Event, Record
from chainlang.semantics.seeds import Place, seed
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stages import candidate_of, choices, messages, readings, schema

Drawn: TypeAlias = "Candidate | _Bad"


@frozen
class _Draw:
    """Samples of one reading that are asked for together."""

    number: int
    """Of the reading; a map has one for each candidate."""
    first: int
    """The number of the first sample."""
    count: int
    start: Record
    """What the prompt is made of."""
    place: Place


@frozen
class _Bad:
    """A sample that failed: which it was, and why."""

    number: int
    sample: int
    error: StageError


@frozen
class _Drawing:
    """A stage of a row, being drawn."""

    step: Generate
    record: Record
    context: RowContext
    place: Place
    reads: tuple[Candidate | None, ...]

    def draws(self, start: int, stop: int) -> list[_Draw]:
        """Return the samples of these numbers of each reading, in their order."""
        most = LARGEST_REQUEST if self.step.together else 1
        return [
            _Draw(number, first, min(most, stop - first), self.record, self.at(number))
            for number in range(len(self.reads))
            for first in range(start, stop, most)
        ]

    def at(self, number: int, attempt: int = 0) -> Place:
        """Return the place of a reading, at an attempt."""
        place = further(self.place, self.step.tries.mark, attempt)
        return place if self.reads[number] is None else (*place, f"c{number}")

    def ask(self, draws: Sequence[_Draw]) -> tuple[Ask, dict[int, StageError]]:
        """Return what asks for some samples, and why the prompts of others can't be made.

        Raises `RowFailed` where the row may not ask for that any more.
        """
        requests: list[Request] = []
        unmade: dict[int, StageError] = {}
        for index, draw in enumerate(draws):
            try:
                requests.append(self.request(draw))
            except StageError as error:
                unmade[index] = error
        try:
            self.context.budget.ask(requests)
        except StageError as error:
            stage = self.step.stage
            raise failed(error, stage.name, self.place, span=stage.span) from error
        listener = self.context.listener
        if listener is None or self.step.place not in listener.places:
            return Ask(tuple(requests)), unmade
        asked = (draw for index, draw in enumerate(draws) if index not in unmade)
        places = tuple((draw.place, draw.first) for draw in asked)
        ear = Ear(listener.tell, self.step.stage.name, places)
        return Ask(tuple(evolve(one, stream=True) for one in requests), ear), unmade

    def receive(
        self,
        draws: Sequence[_Draw],
        asked: Ask,
        unmade: Mapping[int, StageError],
        replies: Sequence[Completion | Failure],
    ) -> list[Drawn]:
        """Return what came of some samples, in their order."""
        for request, reply in zip(asked.requests, replies, strict=True):
            self.context.budget.hear(request, reply)
        if asked.ear is not None:
            for number, reply in enumerate(replies):
                if isinstance(reply, Completion):
                    asked.ear.finish(number, reply.samples)
        came = iter(replies)
        return [
            made
            for index, draw in enumerate(draws)
            for made in self.made(draw, unmade[index] if index in unmade else next(came))
        ]

    def request(self, draw: _Draw) -> Request:
        """Return the request of some samples. Raises `StageError` if it can't be made."""
        stage, context = self.step.stage, self.context
        terms = context.terms
        return Request(
            id=new_id(),
            model=stage.model,
            messages=messages(stage, draw.start, self.reads[draw.number]),
            sampling=stage.sampling,
            seed=seed(context.run_seed, self.record.id, draw.place) + draw.first,
            count=draw.count,
            schema=schema(stage, draw.start),
            lenient=True,  # what the engine does not hold is looked at in the reply
            logprobs=stage.logprobs,
            priority=-self.step.depth,
            redraw=context.redraw,
            tracing=context.tracing or None,
            shared=self.step.shared,
            choices=self.choices(draw),
            deadline=terms.call_seconds,
            patience=terms.patience,
        )

    def choices(self, draw: _Draw) -> tuple[str, ...]:
        """Return the replies of which one is to be left, where that is enough."""
        if not self.step.until_decided:
            return ()
        return choices(self.step.stage, len(draw.start.candidates))

    def made(self, draw: _Draw, reply: Completion | Failure | StageError) -> Iterator[Drawn]:
        """Yield what each sample of a reply is."""
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
        """Return what comes of drawing a sample again, as often as it may be."""
        events: list[Event] = []
        place = partial(self.at, bad.number)

        def run(one: Try) -> Generator[Effect, Any, Candidate]:
            if one.number == 1:  # it was drawn with the others
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
                Try(self.record),
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
        """Return what comes of the samples of these numbers, and what was drawn again for it."""
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

    `needed` says of the candidates so far, and how many there may still be, how many more to draw;
    without it all are drawn at once.
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
        if failures and stage.need is None:
            raise drawing.failed(failures[0])
    if failures and len(candidates) < (stage.need or 0):
        raise drawing.failed(failures[0])
    return record.after(stage.name, place, tuple(candidates))

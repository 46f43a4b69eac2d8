"""One row's way through a plan, as a generator: it yields what it waits for, and gets it.

A generator yields an effect: `Ask`, and is sent the replies in the order of the requests; or `All`,
generators that run at the same time, and is sent what they returned. Nothing here knows of other
rows, of engines or of time.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias

from attrs import evolve, frozen

from chainlang.ops.records import Branched, Candidate, Flow, Record, gathered
from chainlang.ops.stages import (
    Meaning,
    StageError,
    candidate_of,
    messages,
    readings,
    schema,
    voted,
)
from chainlang.places import Place, seed
from chainlang.plan.steps import Count, Fork, Gather, Generate, Name, Repeat, Sequence, Step
from chainlang.runtime.outcomes import RowFailure
from chainlang.runtime.pieces import Ear, Listener, Piece
from chainlang.wire import Completion, Failure, Request

Work: TypeAlias = "Generator[Effect, Any, Flow]"


@frozen
class Ask:
    """Wait for the replies to requests."""

    requests: tuple[Request, ...]
    hear: Callable[[int, int, str], None] | None = None
    """Is told what comes meanwhile: the number of the request, of the sample, and more text."""


@frozen
class All:
    """Wait for generators that run at the same time."""

    works: tuple[Work, ...]


Effect: TypeAlias = Ask | All

LARGEST_REQUEST = 256
"""Samples that one request asks for; a wider stage asks several times."""


class RowFailed(Exception):
    """A row has failed; `failure` says why."""

    def __init__(self, failure: RowFailure) -> None:
        self.failure = failure
        super().__init__(failure.message)


@frozen
class RowContext:
    """What the steps of one row share: the seed, who listens, which run of each repeat this is."""

    run_seed: int
    runs: tuple[str, ...] = ()
    listener: Listener | None = None

    def place(self, place: Place) -> Place:
        """Return a place of the plan with the positions of the repeats around it filled in."""
        if not self.runs:
            return place
        runs = iter(self.runs)
        return tuple(next(runs) if part == "&*" else part for part in place)


def work(step: Step, record: Record, context: RowContext) -> Work:
    """Return the generator that takes a record through a step. It raises `RowFailed`."""
    match step:
        case Generate():
            return _generate(step, record, context)
        case Sequence(steps):
            return _sequence(steps, record, context)
        case Count():
            return _count(step, record, context)
        case Gather():
            return _gather(step, record, context)
        case Fork(steps):
            return _fork(steps, record, context)
        case Name(name, inner):
            return _name(name, inner, record, context)
    raise TypeError(f"not a step that stands alone: {step!r}")


def _sequence(steps: tuple[Step, ...], flow: Flow, context: RowContext) -> Work:
    for step in steps:
        assert isinstance(flow, Record)  # a fork is the last step of a sequence
        flow = yield from work(step, flow, context)
    return flow


def _name(name: str, step: Step, record: Record, context: RowContext) -> Work:
    flow = yield from work(step, record, context)
    # A label may name a branch only where a join gathers it; so it is gathered here.
    found = gathered([flow], record)
    return found.named(name, found.candidates)


def _gather(step: Gather, record: Record, context: RowContext) -> Work:
    operands: list[Work] = []
    for one in step.steps:
        if isinstance(one, Repeat):
            operands += (
                work(one.step, record, evolve(context, runs=(*context.runs, f"&{one.first + i}")))
                for i in range(one.count)
            )
        else:
            operands.append(work(one, record, context))
    flows = yield All(tuple(operands))
    return gathered(flows, record)


def _fork(steps: tuple[tuple[str, Step], ...], record: Record, context: RowContext) -> Work:
    flows = yield All(tuple(work(step, record, context) for _, step in steps))
    return Branched(tuple((name, flow) for (name, _), flow in zip(steps, flows, strict=True)))


def _count(step: Count, record: Record, context: RowContext) -> Work:
    place = context.place(step.place)
    try:
        found = voted(step.vote, record)
    except StageError as error:
        failure = RowFailure(str(error), "M", place, cause=error.cause, span=step.vote.span)
        raise RowFailed(failure) from error
    if context.listener is not None and step.place in context.listener.places:
        context.listener.tell(Piece(str(found[0].answer), "M", place, 0))
    return record.after("M", place, found)
    yield Ask(())  # a generator, like the others


def _generate(step: Generate, record: Record, context: RowContext) -> Work:
    stage, place = step.stage, context.place(step.place)
    try:
        reads = readings(stage, record)
        asked = _requests(stage, record, reads, place, context.run_seed, -step.depth)
    except StageError as error:
        raise _failed(stage, place, error) from error
    requests = tuple(request for _, _, _, request in asked)
    if context.listener is None or step.place not in context.listener.places:
        replies = yield Ask(requests)
    else:
        ear = Ear(context.listener.tell, stage.name, tuple((at, n) for _, at, n, _ in asked))
        replies = yield Ask(tuple(evolve(one, stream=True) for one in requests), ear.hear)
        for number, reply in enumerate(replies):
            if isinstance(reply, Completion):
                ear.finish(number, reply.samples)
    candidates: list[Candidate] = []
    failures: list[RowFailed] = []
    for (read, at, first, request), reply in zip(asked, replies, strict=True):
        if isinstance(reply, Failure):
            failure = _failed(stage, at, StageError.of(reply), first)
            failures += [failure] * request.count
            continue
        assert isinstance(reply, Completion)
        for number, sample in enumerate(reply.samples, first):
            try:
                candidates.append(candidate_of(stage, record, read, sample, at))
            except StageError as error:
                failures.append(_failed(stage, at, error, number))
    if failures and len(candidates) < (stage.need or len(candidates) + 1):
        raise failures[0]
    return record.after(stage.name, place, tuple(candidates))


def _requests(  # noqa: PLR0917
    stage: Meaning,
    record: Record,
    reads: tuple[Candidate | None, ...],
    place: Place,
    run_seed: int,
    priority: int,
) -> list[tuple[Candidate | None, Place, int, Request]]:
    """Return what a stage asks: for each reading and chunk, its place and first sample."""
    found = []
    wanted = schema(stage, record)
    for number, read in enumerate(reads):
        at = place if read is None else (*place, f"c{number}")
        prompt = messages(stage, record, read)
        first_seed = seed(run_seed, record.id, at)
        for first in range(0, stage.count, LARGEST_REQUEST):
            request = Request(
                id="",  # the loop numbers the requests of all rows
                model=stage.model,
                messages=prompt,
                sampling=stage.sampling,
                seed=first_seed + first,
                count=min(LARGEST_REQUEST, stage.count - first),
                schema=wanted,
                lenient=True,  # what the engine does not hold is looked at in the reply
                priority=priority,
            )
            found.append((read, at, first, request))
    return found


def _failed(
    stage: Meaning, place: Place, error: StageError, sample: int | None = None
) -> RowFailed:
    return RowFailed(
        RowFailure(
            str(error),
            stage.name,
            place,
            sample,
            error.sample.text if error.sample else None,
            cause=error.cause,
            transient=error.transient,
            span=stage.span,
        )
    )

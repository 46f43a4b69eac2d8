"""Execution of the steps of a plan for one row, as generators that yield effects."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any, assert_never

from attrs import evolve

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
from chainlang.plan.visit import models
from chainlang.runtime.call_function import call, judged
from chainlang.runtime.effects import (
    Ask,
    Effect,
    RowContext,
    RowFailed,
    Within,
    Work,
    failed,
)
from chainlang.runtime.generate import generate
from chainlang.runtime.given_task import cascade, with_fields
from chainlang.runtime.graph_task import graph
from chainlang.runtime.inline import run_synchronous
from chainlang.runtime.retry import retried
from chainlang.runtime.tracing import ABORTED, NOTHING
from chainlang.semantics.combinators import (
    Attempt,
    arm,
    beginning,
    goes_on,
    in_round,
    is_caught,
    is_over,
    last_of,
    listed,
    ran_out,
    value_of,
)
from chainlang.semantics.events import Event
from chainlang.semantics.record import Branched, Candidate, Flow, Record, below, gathered
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stopping_rules import agree, needed
from chainlang.semantics.voting import still_needed


def row(step: Step, record: Record, context: RowContext) -> Work:
    """Return the work of a whole plan for a row, within the row's deadline."""
    if (seconds := context.limits.row_seconds) is None:
        return _apart(step, record, context)
    return _in_time(step, record, context, seconds)


def _in_time(step: Step, record: Record, context: RowContext, seconds: float) -> Work:
    failure = RowFailure(f"the row took longer than row_seconds={seconds:g}", cause="budget")
    (flow,) = yield Within(_apart(step, record, context), seconds, RowFailed(failure))
    found: Flow = flow
    return found


def _apart(step: Step, record: Record, context: RowContext) -> Work:
    """Return the work of a step whose branch, if it ends with one, stays apart.

    Each of its arms fails alone, but for the budget of the row, which all of them share.
    """
    match step:
        case Sequence(steps):  # without a pattern for its last one, since it would copy the others
            end = steps[-1] if steps else None
            if isinstance(end, Sequence | Fork):
                return _then_apart(steps[:-1], end, record, context)
        case Fork(steps):
            return _arms(steps, record, context)
    return work(step, record, context)


def _then_apart(
    steps: Iterable[Step], end: Sequence | Fork, record: Record, context: RowContext
) -> Work:
    for one in steps:
        record = yield from _single(one, record, context)
    return (yield from _apart(end, record, context))


def _arms(steps: tuple[tuple[str, Step], ...], record: Record, context: RowContext) -> Work:
    inside = (evolve(context, branch=below(context.branch, name)) for name, _ in steps)
    works = (_arm(one, record, arm) for (_, one), arm in zip(steps, inside, strict=True))
    return _branched(steps, (yield from _all(works, record, context)), record)


def _arm(step: Step, record: Record, context: RowContext) -> Work:
    try:
        return (yield from _apart(step, record, context))
    except RowFailed as error:
        if not is_caught(error):
            raise
        return evolve(error.failure, branch=context.branch)


def work(step: Step, record: Record, context: RowContext) -> Work:  # noqa: C901, PLR0912  # a match
    """Return the work of a step for a record. It raises `RowFailed`."""
    match step:
        case Generate(stage=stage):
            if context.tracing is NOTHING:
                return generate(step, record, context)
            return _in_span(stage.name, partial(generate, step, record), context)
        case Call():
            if context.tracing is NOTHING:
                return call(step, record, context)
            return _in_span(f"@{step.function.name}", partial(call, step, record), context)
        case Sequence(steps):
            return _sequence(steps, record, context)
        case Count():
            return _synchronous(step, record, context)
        case Fused(steps):  # with tracing on, each step has its own span
            if context.tracing is not NOTHING:
                return _sequence(steps, record, context)
            return _synchronous(step, record, context)
        case Graph():
            return graph(step, record, context, work)
        case Decide():
            return _decide(step, record, context)
        case AskUntilAgreement():
            return _ask_until_agreement(step, record, context)
        case Gather(steps):
            return _gather(steps, record, context)
        case Fork(steps):
            return _fork(steps, record, context)
        case Repeat():
            return _gather((step,), record, context)
        case Name():
            return _name(step, record, context)
        case Fallback():
            return _fallback(step, record, context)
        case Retry():
            return _retry(step, record, context)
        case Timeout():
            return _timeout(step, record, context)
        case Route():
            return _route(step, record, context)
        case Loop():
            return _loop(step, record, context)
        case Each():
            return _each(step, record, context)
        case Cascade():
            return cascade(step, record, context, work)
        case WithFields():
            return with_fields(step, record, context, work)
    assert_never(step)


def _in_span(
    name: str, begin: Callable[[RowContext], Generator[Effect, Any, Record]], context: RowContext
) -> Generator[Effect, Any, Record]:
    tracing = context.tracing.child(f"stage {name}", stage=name)
    try:
        found = yield from begin(evolve(context, tracing=tracing))
    except RowFailed as error:
        tracing.end(error.failure.cause)
        raise
    except GeneratorExit:
        tracing.end(ABORTED)
        raise
    tracing.end(candidates=len(found.candidates))
    return found


def _sequence(steps: tuple[Step, ...], flow: Flow, context: RowContext) -> Work:
    for step in steps:
        assert isinstance(flow, Record)  # a fork is the last step of a sequence
        if isinstance(step, Count):
            flow = run_synchronous(step, flow, context)
        else:
            flow = yield from work(step, flow, context)
    return flow


def _all(
    works: Iterable[Work], record: Record, context: RowContext
) -> Generator[Effect, Any, list[Flow]]:
    """Return the results of parts that read the same record, which run concurrently.

    Raises the first failure in the order of the chain, with the events of the parts before it.
    """
    flows: list[Flow] = []
    for one in (yield context.all(works)):
        if isinstance(one, RowFailed):
            raise one.beside(flows, record)
        flows.append(one)
    return flows


def _decide(step: Decide, record: Record, context: RowContext) -> Work:
    how, said = step.count.vote.how, list[Event]()
    stage, count = step.generate.stage, step.generate.stage.count

    def more(found: tuple[Candidate, ...], left: int) -> int:
        wanted = needed(step.rule, found, left, how)
        if count - left > len(found):  # some failed, so `need` decides whether the stage succeeds
            wanted = max(wanted, stage.needed(count) - len(found))
        if not wanted and step.rule != "exact":
            is_open = still_needed(found, left, how)
            message = f"{step.rule} ended the vote after {count - left} of {count} samples"
            message += ": the others could have changed it" if is_open else ", when it was decided"
            said.append(Event("lossy", context.place(step.count.place), message))
        return wanted

    drawn = yield from generate(step.generate, record, context, more)
    return run_synchronous(step.count, drawn.noted(*said), context)


def _name(step: Name, record: Record, context: RowContext) -> Work:
    flow = yield from work(step.step, record, context)
    # A label may name a branch only inside a join, so the branches are merged here.
    found = flow if isinstance(flow, Record) else gathered([flow], record)
    return found.named(step.name, found.candidates, own=step.own)


def _ask_until_agreement(step: AskUntilAgreement, record: Record, context: RowContext) -> Work:
    flows: list[Flow] = []
    for number, one in enumerate(step.steps, 1):
        flows.append((yield from _gather((one,), record, context)))
        found = gathered(flows, record)
        if number < len(step.steps) and agree(found.candidates, step.count.vote.how):
            rest = ", ".join(models(Sequence(step.steps[number:])))
            message = (
                f"ask_until_agreement did not ask {rest}: {len(found.candidates)} answers agree"
            )
            found = found.noted(Event("lossy", context.place(step.count.place), message))
            break
    return run_synchronous(step.count, found, context)


def _gather(steps: tuple[Step, ...], record: Record, context: RowContext) -> Work:
    # The runs of a repeat are operands like its neighbours, so that all of them are concurrent.
    operands: list[Work] = []
    for one in steps:
        if isinstance(one, Repeat):
            operands += (
                work(one.step, record, context.inside(f"&{one.first + number}"))
                for number in range(one.count)
            )
        else:
            operands.append(work(one, record, context))
    flows = yield from _all(operands, record, context)
    return gathered(flows, record)


def _fork(steps: tuple[tuple[str, Step], ...], record: Record, context: RowContext) -> Work:
    works = (work(step, record, context) for _, step in steps)
    return _branched(steps, (yield from _all(works, record, context)), record)


def _branched(steps: tuple[tuple[str, Step], ...], flows: list[Flow], start: Record) -> Branched:
    arms = tuple((name, flow) for (name, _), flow in zip(steps, flows, strict=True))
    return Branched(arms, start)


def _synchronous(step: Step, record: Record, context: RowContext) -> Work:
    return run_synchronous(step, record, context)
    yield Ask(())  # a generator, like the others


# ---------------------------------------------------------------- combinators


def _single(step: Step, record: Record, context: RowContext) -> Generator[Effect, Any, Record]:
    """Return the work of a part of a combinator, which can't be a fork."""
    flow = yield from work(step, record, context)
    assert isinstance(flow, Record)
    return flow


def _fallback(step: Fallback, record: Record, context: RowContext) -> Work:
    said: list[str] = []
    trace = record.trace
    for one, at in zip(step.steps, step.places, strict=True):
        if said:
            record = record.noted(Event("fallback", context.place(at), said[-1]))
        try:
            return (yield from work(one, record, context))
        except RowFailed as error:
            if not is_caught(error):
                raise
            failure = error.failure
            said.append(failure.message)
            trace = (*trace, *failure.trace[len(record.trace) :])
            if not goes_on(error, step.on):
                break
            record = record.noted(*error.since(record))
    raise RowFailed(evolve(failure, reason=last_of(said), trace=trace))


def _retry(step: Retry, record: Record, context: RowContext) -> Work:
    mark, events = step.tries.mark, list[Event]()

    def run(one: Attempt) -> Generator[Effect, Any, Record]:
        inside, start = context.further(mark, one.attempt), one.record.noted(*events)
        try:
            found = yield from _single(step.step, start, inside)
        except RowFailed as error:
            events.extend(error.since(start))
            raise
        return evolve(found, local=record.local)

    def place(attempt: int) -> Place:
        return context.further(mark, attempt).place((*step.place, "*"))

    tries, first = step.tries, Attempt(record)
    return (yield from retried(tries, first, run, events, error=RowFailed, place=place))


def _timeout(step: Timeout, record: Record, context: RowContext) -> Work:
    message = f"it took longer than {step.seconds:g} seconds"
    error = StageError(message, "timeout")
    failure = failed(error, "timeout", context.place(step.place), record, span=step.span)
    (flow,) = yield Within(_single(step.step, record, context), step.seconds, failure)
    found: Record = flow
    return found


def _route(step: Route, record: Record, context: RowContext) -> Work:
    arms = dict(step.arms)
    try:
        value = yield from judged(step.by, record, context, "by=")
        key = arm(value, arms, step.default is not None)
    except StageError as error:
        raise failed(error, "route", context.place(step.place), record, span=step.span) from error
    chosen = step.default if key is None else arms[key]
    assert chosen is not None  # `arm` raises if there is no default
    return (yield from work(chosen, record, context))


def _loop(step: Loop, record: Record, context: RowContext) -> Work:
    place, local = context.place(step.place), record.local
    for number in range(step.most):
        start = in_round(record, number) if step.counts else record
        record = yield from _single(step.step, start, context.further(step.mark, number))
        try:
            if is_over((yield from judged(step.until, record, context, "until="))):
                return evolve(record, local=local) if step.counts else record
        except StageError as error:
            raise failed(error, "loop", place, record, span=step.span) from error
    record = evolve(record, local=local) if step.counts else record
    return record.noted(ran_out(place, step.most))


def _each(step: Each, record: Record, context: RowContext) -> Work:
    try:
        items = listed(value_of(step.over, record, "over="), step.most)
        context.budget.take(len(items))
    except StageError as error:
        raise failed(error, "each", context.place(step.place), record, span=step.span) from error
    works = (
        work(
            step.step,
            beginning(record, step.item, item, number),
            context.further(step.mark, number),
        )
        for number, item in enumerate(items)
    )
    flows = yield from _all(works, record, context)
    return evolve(gathered(flows, record), history=record.history)

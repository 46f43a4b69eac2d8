"""Calls of the user's functions for one row."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

from attrs import evolve

from chainlang.limits import current
from chainlang.plan.steps import Call
from chainlang.plan.visit import is_synchronous
from chainlang.runtime.effects import All, Await, Effect, RowContext, RowFailed, failed
from chainlang.runtime.inline import called
from chainlang.runtime.retry import retried
from chainlang.semantics.combinators import Attempt, further, judged_by, value_of
from chainlang.semantics.events import Event
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.record import Candidate, Record
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.wiring import fed

Candidates = tuple[Candidate, ...]


def call(step: Call, record: Record, context: RowContext) -> Generator[Effect, Any, Record]:
    """Return the work of calling a function. It raises `RowFailed`.

    An async function runs concurrently, for all candidates at the same time. Any other function is
    called synchronously, and blocks the run until it returns.
    """
    if is_synchronous(step):
        return called(step, record, context)
    function, place = step.function, context.place(step.place)
    try:
        record = fed(record, step.of)
        reads = function.readings(record)
    except StageError as error:
        raise failed(error, f"@{function.name}", place, record, span=step.span) from error
    works = tuple(
        _tried(step, record, place, number, read, context) for number, read in enumerate(reads)
    )
    made, first = (yield All(works)), record
    found: list[Candidate] = []
    for one in made:
        if isinstance(one, RowFailed):
            raise one.happened((*record.events, *one.since(first)))
        candidates, events = one
        found += candidates
        record = record.noted(*events)
    return record.after(f"@{function.name}", place, tuple(found), step.arms)


def judged(
    by: str | Call, record: Record, context: RowContext, what: str
) -> Generator[Effect, Any, Any]:
    """Return the value of an expression or a function for a record."""
    if isinstance(by, str):
        return value_of(by, record, what)
    read = judged_by(by.function, fed(record, by.of))
    found = yield from call(evolve(by, of=()), read, context)
    return found.candidates[0].answer if found.candidates else None


def _tried(  # noqa: PLR0917
    step: Call, record: Record, place: Place, number: int, read: Candidates, context: RowContext
) -> Generator[Effect, Any, tuple[Candidates, list[Event]]]:
    """Return the candidates of a call and its events, with retries."""
    function, tries, events = step.function, step.tries, list[Event]()

    def at(attempt: int) -> Place:
        found = further(place, tries.mark, attempt)
        return (*found, f"c{number}") if function.kind == "map" else found

    def run(one: Attempt) -> Generator[Effect, Any, Candidates]:
        return _called(function, one.record, read, at(one.attempt), context)

    try:
        first = Attempt(record)
        found = yield from retried(tries, first, run, events, error=StageError, place=at)
    except StageError as error:  # of whichever attempt: its place is that of the plan
        noted = record.noted(*events)
        raise failed(error, f"@{function.name}", at(0), noted, span=step.span) from error
    return found, events


def _called(
    function: UserFunction, record: Record, read: Candidates, place: Place, context: RowContext
) -> Generator[Effect, Any, Candidates]:
    if not function.is_async:
        return context.calling(function.call, record, read, place)
    most = current().samples_per_stage

    async def guarded() -> Candidates | BaseException:
        try:
            return await function.acall(record, read, place, most)
        except (StageError, KeyboardInterrupt) as error:
            return error  # the last would end the event loop

    async def around() -> Candidates | BaseException:
        if context.around is None:
            return await guarded()
        return await asyncio.create_task(guarded(), context=context.around.copy())

    (value,) = yield Await((around,))
    if isinstance(value, BaseException):
        raise value
    found: Candidates = value
    return found

"""Synchronous steps: votes, and functions that are neither async nor retried."""

from __future__ import annotations

from typing import assert_never

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
from chainlang.runtime.effects import RowContext, failed
from chainlang.runtime.stream import Chunk
from chainlang.semantics.record import Candidate, Record
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stages import voted
from chainlang.semantics.wiring import fed


def run_synchronous(step: Step, record: Record, context: RowContext) -> Record:
    """Return the record after a synchronous step, see `is_synchronous`. Raises `RowFailed`."""
    match step:
        case Call():
            return called(step, record, context)
        case Count():
            return counted(step, record, context)
        case Name(name, one, own):
            found = run_synchronous(one, record, context)
            return found.named(name, found.candidates, own=own)
        case Fused(steps):
            for one in steps:
                record = run_synchronous(one, record, context)
            return record
        case Generate() | Sequence() | Graph() | Decide() | AskUntilAgreement():
            raise TypeError(f"not a step that waits for nothing: {step!r}")
        case Gather() | Repeat():
            raise TypeError(f"not a step that waits for nothing: {step!r}")
        case Fork() | Fallback() | Cascade() | Retry() | Timeout() | Route() | Loop() | Each():
            raise TypeError(f"not a step that waits for nothing: {step!r}")
        case WithFields():
            raise TypeError(f"not a step that waits for nothing: {step!r}")
    assert_never(step)


def called(step: Call, record: Record, context: RowContext) -> Record:
    """Return the record after a function. Raises `RowFailed` for the first call that fails."""
    function, at = step.function, context.place(step.place)
    found: list[Candidate] = []
    place = at
    try:
        record = fed(record, step.of)
        for number, read in enumerate(function.readings(record)):
            place = (*at, f"c{number}") if function.kind == "map" else at
            found += context.calling(function.call, record, read, place)
    except StageError as error:
        raise failed(error, f"@{function.name}", place, record, span=step.span) from error
    return record.after(f"@{function.name}", at, tuple(found), step.arms)


def counted(step: Count, record: Record, context: RowContext) -> Record:
    """Return the record after a vote. Raises `RowFailed`."""
    place = context.place(step.place)
    try:
        record = fed(record, step.vote.of)
        found = voted(step.vote, record)
    except StageError as error:
        raise failed(error, "M", place, record, span=step.vote.span) from error
    if context.listener is not None and step.place in context.listener.places:
        context.listener.callback(Chunk(str(found[0].answer), "M", place, 0))
    return record.after("M", place, found, step.arms)

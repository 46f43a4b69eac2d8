"""Execution of a `cascade` and of a `with_fields`, which run a part on another record."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeAlias

from attrs import evolve

from chainlang.plan.steps import Cascade, Step, WithFields
from chainlang.runtime.call_function import judged
from chainlang.runtime.effects import Effect, RowContext, Work, failed
from chainlang.semantics.combinators import is_accepted
from chainlang.semantics.given_fields import given
from chainlang.semantics.record import Record
from chainlang.semantics.stage_error import StageError

Run: TypeAlias = Callable[[Step, Record, RowContext], Work]
"""Returns the work of a step."""


def cascade(step: Cascade, record: Record, context: RowContext, run: Run) -> Work:
    """Return the work of parts one after another, until the result of one is accepted.

    Each part reads the candidates before the cascade, and the named parts of those before it.
    """
    candidates = record.candidates
    for number, one in enumerate(step.steps, 1):
        record = yield from _single(run(one, evolve(record, candidates=candidates), context))
        if number == len(step.steps):
            break
        try:
            if is_accepted((yield from judged(step.accept, record, context, "accept="))):
                break
        except StageError as error:
            place = context.place(step.place)
            raise failed(error, "cascade", place, record, span=step.span) from error
    return record


def with_fields(step: WithFields, record: Record, context: RowContext, run: Run) -> Work:
    """Return the work of a part with fields in place of those of the row."""
    try:
        start = given(record, step.fields)
    except StageError as error:
        place = context.place(step.place)
        raise failed(error, "with_fields", place, record, span=step.span) from error
    found = yield from _single(run(step.step, start, context))
    return evolve(found, local=record.local)


def _single(work: Work) -> Generator[Effect, Any, Record]:
    flow = yield from work
    assert isinstance(flow, Record)  # no part of a combinator is a fork
    return flow

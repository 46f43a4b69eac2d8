"""Runs on vLLM against the reference, which asks the same engine for one sample at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from attrs import evolve

from chainlang import Chain
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.optimizer.compile import compiled
from chainlang.protocol.messages import Completion, Failure, Request
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Flow
from chainlang.semantics.reference import interpret
from chainlang.semantics.stage_error import StageError
from tests.laws.control import comparable

NAIVE_THEN_ALL_AT_ONCE = ((False, 1), (True, 100))
"""Whether the passes run, and the window. A window above one gets the rows in reverse order."""
EACH_WAY = ((False, 1), (True, 1), (False, 100), (True, 100))
_numbers = itertools.count()


def hold_to_the_reference(
    made: Chain,
    engine: VllmEngine,
    rows: list[dict[str, Any]],
    ways: Iterable[tuple[bool, int]] = NAIVE_THEN_ALL_AT_ONCE,
) -> None:
    """Fail unless each way of running a chain has the tokens, or the failures, of the reference."""

    def complete(request: Request) -> Completion | Failure:
        engine.submit([evolve(request, id=f"reference-{next(_numbers)}")])
        while True:
            for reply in engine.step():
                assert isinstance(reply, Completion | Failure)
                return reply

    def meant(row: dict[str, Any]) -> Flow | str:
        try:
            found = interpret(
                made.body, record_of(row), complete, declared=made.items, bound=made.bound
            )
            return comparable(found)
        except StageError as error:
            return str(error)

    found = compiled(made.program())
    wanted = {row["id"]: meant(row) for row in rows}
    for passes, window in ways:
        plan = found.plan if passes else found.naive
        records = [record_of(row) for row in (rows if window == 1 else rows[::-1])]
        engines = dict.fromkeys(plan.models, engine)
        for outcome in run(Prepared(plan, engines, window=window), records):
            flow, failure = outcome.flow, outcome.failure  # both, where an arm failed
            said = comparable(flow) if flow is not None else failure and failure.message
            assert said == wanted[outcome.row_id], (passes, window, outcome.row_id)

"""From a program and rows to results, as an iterator or as what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from attrs import evolve

from chainlang.analysis.program import Program
from chainlang.data import Extent
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.run_loop import run
from chainlang.semantics.outputs import Outputs
from chainlang.semantics.record import events_of
from chainlang.session.cost_report import Account, Costs, Ways
from chainlang.session.estimate import Forecaster
from chainlang.session.prepare import prepare
from chainlang.session.result import Result, result_of
from chainlang.session.rows import rows_of
from chainlang.settings import MapSettings


def results(program: Program, source: Any, settings: MapSettings) -> Iterator[Result]:
    """Return the results of the rows of a source.

    What can be known to be wrong before the first row is raised here, and not by the iterator.
    """
    rows = rows_of(source, program, settings.limit, Extent())
    prepared = prepare(program, settings, ordered=settings.ordered)
    return _results(run(prepared, rows), prepared.plan.outputs, settings.on_error)


def analyzed(program: Program, source: Any, settings: MapSettings, forecaster: Forecaster) -> Costs:
    """Run the rows of a source as `results` does, and return what that came to."""
    rows = forecaster.watch(rows_of(source, program, settings.limit, Extent()))
    prepared = prepare(program, settings, ordered=settings.ordered)
    ways = Ways(prepared.open_port)
    account = Account.begin(forecaster, prepared.engines, ways)
    failed, events = 0, Counter[str]()
    for outcome in run(evolve(prepared, open_port=ways.open), rows):
        if outcome.failure is not None and settings.on_error == "raise":
            raise outcome.failure.error()
        failed += outcome.failure is not None
        events.update(one.kind for one in (events_of(outcome.flow) if outcome.flow else ()))
    return account.costs(failed, events)


def _results(stream: Iterator[Outcome], outputs: Outputs, on_error: str) -> Iterator[Result]:
    for outcome in stream:
        if outcome.failure is not None and on_error == "raise":
            raise outcome.failure.error()
        if outcome.failure is None or on_error == "collect":
            yield result_of(outcome, outputs)

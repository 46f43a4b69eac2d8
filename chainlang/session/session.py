"""Execution of a program over rows: the result of one, the results of many, or their costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import evolve

from chainlang.analysis.program import Program
from chainlang.data import Extent
from chainlang.display.progress import Meter
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.run_loop import run
from chainlang.semantics.outputs import Outputs
from chainlang.session.named_models import with_models
from chainlang.session.prepare import prepare
from chainlang.session.result import Result, result_of
from chainlang.session.results import Results, known_rows
from chainlang.session.rows import expected_rows, rows_of, start_of
from chainlang.session.run_progress import ended, metered
from chainlang.settings import CallSettings, MapSettings

if TYPE_CHECKING:
    from chainlang.session.cost_report import Costs
    from chainlang.session.estimate import CostEstimator


def results(program: Program, source: Any, settings: MapSettings) -> Results:
    """Return the results of the rows of a source.

    Errors that are known before the first row are raised here, and not later.
    """
    program, extent = with_models(program, settings), Extent()
    rows = rows_of(source, program, settings, extent)
    settings, meter = metered(settings, partial(expected_rows, extent, settings.limit))
    try:
        prepared = prepare(program, settings, ordered=settings.ordered)
    except BaseException:
        if meter is not None:
            meter.end()
        raise
    watch = None if meter is None else meter.beat
    outcomes = run(prepared, rows, watch=watch)
    stream = _results(outcomes, prepared.plan.outputs, settings.on_error, meter)
    return Results(stream, known_rows(extent, settings.limit, settings.on_error))


def result(program: Program, row: Any, settings: CallSettings) -> Result | None:
    """Return the result of one row; None if it failed and is skipped."""
    program = with_models(program, settings)
    start = start_of(row, program)
    settings, meter = metered(settings)
    with ended(meter):
        prepared = prepare(program, settings)
    stream = _results(run(prepared, [start]), prepared.plan.outputs, settings.on_error)
    return next(stream, None)


def analyzed(
    program: Program, source: Any, settings: MapSettings, estimator: CostEstimator
) -> Costs:
    """Run the rows of a source as `results` does, and return their costs."""
    from chainlang.session.cost_report import CostMeter, PortFactory  # a call predicts nothing

    rows = estimator.watch(rows_of(source, program, settings, Extent()))
    settings, progress = metered(settings)
    with ended(progress):
        prepared = prepare(program, settings, ordered=settings.ordered)
    ports = PortFactory(prepared.open_port)
    meter = CostMeter.begin(estimator, prepared.engines, ports)
    failed, events = 0, Counter[str]()
    for outcome in run(evolve(prepared, open_port=ports.open), rows):
        if outcome.failure is not None and settings.on_error == "raise":
            raise outcome.failure.error()
        failed += outcome.failure is not None
        events.update(one.kind for one in outcome.events)
    return meter.costs(failed, events)


def _results(
    stream: Iterator[Outcome], outputs: Outputs, on_error: str, meter: Meter | None = None
) -> Iterator[Result]:
    if meter is not None:
        meter.begin()
    with ended(meter):
        for outcome in stream:
            if meter is not None:
                meter.row(failed=outcome.failure is not None)
            if outcome.failure is not None and on_error == "raise":
                raise outcome.failure.error()
            if outcome.failure is None or on_error == "collect":
                yield result_of(outcome, outputs)

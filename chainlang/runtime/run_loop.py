"""The main loop of a run: a bounded window of rows in flight, without barriers between stages.

Rows start in order and are returned in order. In between, each row runs independently: a stage is
requested as soon as the row's stage before it has replied. Memory is bounded by the window and not
by the data: a row is in the window until the caller has taken its outcome.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from attrs import evolve

from chainlang.errors import error_of
from chainlang.interrupts import check
from chainlang.protocol.usages import Usages
from chainlang.runtime.budget import RowBudget, RunBudget
from chainlang.runtime.effects import RowContext
from chainlang.runtime.model_swap import SWAP_FACTOR, Swapper
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.row_task import row
from chainlang.runtime.scheduler import Row, Scheduler
from chainlang.runtime.tracing import RunTrace, begin
from chainlang.semantics.record import Record, moved
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.seeds import is_of_content


def run(
    prepared: Prepared,
    rows: Iterable[Record | RowFailure],
    *,
    first: int = 0,
    redraws: Mapping[str, Mapping[str, int]] | None = None,
) -> Iterator[Outcome]:
    """Yield the outcome of each row, in the order of the rows, or as they finish.

    `first` is the position of the first row in its source; `redraws` has the number of times that
    failed rows were resampled, by id and by the arm that failed, which is empty for a whole row. A
    row that could not be read is a `RowFailure`, and fails.
    When a budget of the run is used up, no more requests are made; once those in flight are done,
    `StopError` is raised. If the caller stops early, or is interrupted, all requests are aborted.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> from chainlang.plan.lower import lower
    >>> plan = lower(chain("3:E >> M").body)
    >>> prepared = Prepared(plan, {"tiny": FakeEngine()}, window=1)
    >>> rows = [Record({"query": text}, text, text) for text in ("a", "b")]
    >>> [outcome.row_id for outcome in run(prepared, rows)]
    ['a', 'b']
    """
    plan, engines, limits = prepared.plan, prepared.engines, prepared.limits
    swapper = prepared.swapper or Swapper.loaded(engines)
    most = max(1, prepared.window) * (SWAP_FACTOR if plan.by_model and swapper.changes else 1)
    budget = RunBudget(limits)
    scheduler = Scheduler(
        open_port=lambda engine: prepared.open_port(engine, budget), by_prefix=plan.by_prefix
    )
    source, more, news = iter(rows), True, True
    done: dict[int, Outcome] = {}
    equal: dict[str, list[tuple[int, Record]]] = {}  # rows that wait for an equal one in flight

    trace = RunTrace(
        begin(
            "chainlang.run",
            seed=prepared.seed,
            window=prepared.window,
            models=list(plan.models),
        )
    )

    def keep(outcome: Outcome) -> None:
        trace.done(outcome)
        done[outcome.index] = outcome = outcome.showing(plan.outputs)
        for index, start in equal.pop(outcome.row_id, ()) if outcome.start is not None else ():
            keep(_again(outcome, index, start))

    admitted = given = first
    scheduler.call_after(limits.run_seconds, engines, budget.time_out)
    try:
        while True:
            check()
            while more and not budget.used_up and admitted - given < most:
                start = next(source, None)
                if start is None:
                    more = False
                    break
                if isinstance(start, RowFailure):
                    keep(Outcome(admitted, start.id, None, start, Usages()))
                elif plan.rows_once and start.id in equal:
                    equal[start.id].append((admitted, start))
                else:
                    if plan.rows_once and is_of_content(start.id):
                        equal[start.id] = []
                    context = RowContext(
                        prepared.seed,
                        date=prepared.date,
                        tracing=trace.row(admitted, start.id),
                        redraws=(redraws or {}).get(start.id, {}),
                        budget=RowBudget(limits),
                    )
                    begun = Row(admitted, start, engines, keep, swapper=swapper)
                    scheduler.admit(begun, row(plan.root, start, context))
                admitted += 1
            scheduler.submit()
            while done and (not prepared.ordered or given in done):
                with scheduler.machine.stopped():  # no deadline runs while the caller is busy
                    yield done.pop(given if prepared.ordered else next(iter(done)))
                given += 1
            if not more and given == admitted:
                return
            if budget.is_over(news):
                raise error_of("stopped", budget.used_up)
            if admitted - given < most and more and not budget.used_up:
                continue
            news = scheduler.receive()
    finally:
        scheduler.close()
        trace.close(given - first)


def _again(outcome: Outcome, index: int, start: Record) -> Outcome:
    """Return the outcome of a row that is equal to a completed one, with no usage."""
    flow = outcome.flow and moved(outcome.flow, start)
    return evolve(outcome, index=index, start=start, flow=flow, usages=Usages())

"""The main loop of a run: a bounded window of rows in flight, without barriers between stages.

Rows start in order and are returned in order. In between, each row runs independently: a stage is
requested as soon as the row's stage before it has replied. Memory is bounded by the window and not
by the data: a row is in the window until the caller has taken its outcome.

An outcome is yielded before anything else happens: before further rows start, and before the other
rows whose replies have arrived are resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from chainlang.engines.protocol import Engine, is_serial
from chainlang.errors import error_of
from chainlang.interrupts import check
from chainlang.limits import current
from chainlang.protocol.usages import Usages
from chainlang.runtime.budget import RowBudget, RunBudget
from chainlang.runtime.effects import RowContext
from chainlang.runtime.model_swap import SWAP_FACTOR, Swapper
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.ports.stack import Needs
from chainlang.runtime.prepared import OnePlan, Prepared
from chainlang.runtime.row_task import row
from chainlang.runtime.scheduler import Scheduler
from chainlang.runtime.tasks import Row
from chainlang.runtime.tracing import RunTrace, begin
from chainlang.runtime.window import Window
from chainlang.semantics.nothing import NOTHING
from chainlang.semantics.record import Record
from chainlang.semantics.row_failure import RowFailure


def run(
    prepared: Prepared,
    rows: Iterable[Record | RowFailure],
    *,
    first: int = 0,
    redraws: Mapping[str, Mapping[str, int]] | None = None,
    watch: Callable[[int], object] | None = None,
) -> Iterator[Outcome]:
    """Yield the outcome of each row, in the order of the rows, or as they finish.

    `first` is the position of the first row in its source; `redraws` has the number of times that
    failed rows were resampled, by id and by the arm that failed, which is empty for a whole row. A
    row that could not be read is a `RowFailure`, and fails.
    When a budget of the run is used up, no more requests are made; once those in flight are done,
    `StopError` is raised. If the caller stops early, or is interrupted, all requests are aborted.
    `watch` is called each second of the run's clock, with the number of tokens so far.
    After an interrupt the outcomes of all completed rows are yielded, also of those behind a row
    that is not completed, before `KeyboardInterrupt` is raised.

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
    window = Window(
        max(1, prepared.window) * (SWAP_FACTOR if plan.by_model and swapper.changes else 1),
        prepared.ordered,
        first,
        gradual=any(map(is_serial, engines.values())) and not swapper.changes,
    )
    budget, counts, items = RunBudget(limits), limits.has_row_budget, current().calls_per_row
    chooser, needs = prepared.chooser or OnePlan(plan), _needs(prepared, budget)
    scheduler = Scheduler(
        open_port=lambda engine: prepared.opening(engine, needs), by_prefix=plan.by_prefix
    )
    source, more, news = iter(rows), True, True
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
        chooser.learn(outcome)
        for equal in window.keep(outcome.showing(plan.outputs)):
            trace.done(equal)

    def start(record: Record) -> None:
        context = RowContext(
            prepared.context,
            index=prepared.shard.row(window.admitted),
            tracing=trace.row(window.admitted, record.id),
            redraws=redraws.get(record.id, NOTHING) if redraws else NOTHING,
            budget=RowBudget(limits, counts=counts, items=items),
        )
        scheduler.admit(
            Row(window.admitted, record, engines, keep, swapper=swapper),
            row(chooser.plan(window.admitted, record).root, record, context),
        )

    scheduler.call_after(limits.run_seconds, engines, budget.time_out)
    _call_each_second(scheduler, engines, watch)
    try:
        while True:
            check()
            while more and not (
                budget.used_up or window.ready or window.is_full(scheduler.samples)
            ):
                read = next(source, None)
                if read is None:
                    more = False
                    break
                if isinstance(read, RowFailure):
                    keep(Outcome(window.admitted, read.id, None, read, Usages()))
                elif not (plan.rows_once and window.waits(read)):
                    start(read)
                window.admitted += 1
            scheduler.submit()
            while (outcome := window.take()) is not None:
                began = time.monotonic()
                yield outcome
                scheduler.machine.lost += time.monotonic() - began  # no deadline runs meanwhile
            if not more and not window.in_flight:
                return
            if budget.is_over(news):
                raise error_of("stopped", budget.used_up)
            if more and not (budget.used_up or window.is_full(scheduler.samples)):
                continue
            news = scheduler.receive()
    except KeyboardInterrupt:
        scheduler.abort()
        yield from window.rest()
        raise
    finally:
        scheduler.close()
        trace.close(window.taken - first)


def _needs(prepared: Prepared, budget: RunBudget) -> Needs:
    """Return the needs of the requests of a run."""
    found = Needs.of(prepared.plan, prepared.limits, budget, prices=bool(prepared.prices))
    return found if prepared.chooser is None else Needs(found.budget)  # the plans of rows differ


def _call_each_second(
    scheduler: Scheduler, engines: Mapping[str, Engine], watch: Callable[[int], object] | None
) -> None:
    """Call `watch` with the number of tokens so far, each second of the engines' clock."""
    if watch is not None:

        def again() -> None:
            watch(scheduler.tokens)
            _call_each_second(scheduler, engines, watch)

        scheduler.call_after(1.0, engines, again)

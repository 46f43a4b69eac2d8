"""From a chain and rows to results: reads them, runs the loop, writes the folder."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, field, frozen

from chainlang.analysis.program import Program
from chainlang.data import BadRow, Extent, Row, check_ids, read_rows, spoken
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.engines.protocol import Engine
from chainlang.errors import StopError
from chainlang.interrupts import held, noted
from chainlang.optimizer.compile import Compiled, planned
from chainlang.plan.steps import Plan
from chainlang.protocol.messages import Usage
from chainlang.runtime.budget import RunBudget
from chainlang.runtime.limits import Terms
from chainlang.runtime.model_swap import Swapper
from chainlang.runtime.outcome import Outcome, RowFailure
from chainlang.runtime.ports.port import Port
from chainlang.runtime.run_loop import run
from chainlang.semantics.input_schema import Door, InputError
from chainlang.semantics.outputs import Outputs
from chainlang.semantics.record import Record, events_of
from chainlang.session.cost_report import Account, Costs, Ways
from chainlang.session.estimate import Forecaster
from chainlang.session.memory_plan import swapper_of
from chainlang.session.result import Result
from chainlang.session.sample_cache import way_of
from chainlang.settings import MapSettings, RunSettings
from chainlang.store import About, RunFolder
from chainlang.store.output import read
from chainlang.store.retry_failed import redrawn

_GO_ON = "what was drawn is kept: the same command goes on, with a new budget"
_WAIT = "for a run that waits longer by itself: --patience 3600, in Python patience=3600"


def results(program: Program, source: Any, settings: MapSettings) -> Iterator[Result]:
    """Return the results of the rows of a source.

    What can be known to be wrong before the first row is raised here, and not by the iterator.
    """
    plan = planned(program, settings).plan
    rows = rows_of(source, program, settings.limit, Extent())
    swapper = swapper_of(plan, program.items, settings)
    stream = _stream(plan, rows, swapper, settings, way_of(settings))
    return _results(stream, plan.outputs, settings.on_error)


def analyzed(program: Program, source: Any, settings: MapSettings, forecaster: Forecaster) -> Costs:
    """Run the rows of a source as `results` does, and return what that came to."""
    plan = forecaster.found.plan
    rows = forecaster.watch(rows_of(source, program, settings.limit, Extent()))
    swapper = swapper_of(plan, program.items, settings)
    ways = Ways(way_of(settings))
    account = Account.begin(forecaster, swapper.engines, ways)
    failed, events = 0, Counter[str]()
    for outcome in _stream(plan, rows, swapper, settings, ways.open):
        if outcome.failure is not None and settings.on_error == "raise":
            raise outcome.failure.error()
        failed += outcome.failure is not None
        events.update(one.kind for one in (events_of(outcome.flow) if outcome.flow else ()))
    return account.costs(failed, events)


def _stream(
    plan: Plan,
    rows: Iterable[Record | RowFailure],
    swapper: Swapper,
    settings: MapSettings,
    open_port: Callable[[Engine, RunBudget], Port],
) -> Iterator[Outcome]:
    return run(
        plan,
        rows,
        swapper.engines,
        seed=settings.seed,
        window=settings.window,
        ordered=settings.ordered,
        open_port=open_port,
        terms=Terms.of(settings),
        swapper=swapper,
    )


def _results(stream: Iterator[Outcome], outputs: Outputs, on_error: str) -> Iterator[Result]:
    for outcome in stream:
        if outcome.failure is not None and on_error == "raise":
            raise outcome.failure.error()
        if outcome.failure is None or on_error == "collect":
            yield result_of(outcome, outputs)


def result_of(outcome: Outcome, outputs: Outputs) -> Result:
    """Return an outcome as the reader sees it."""
    return Result(
        outcome.index, outcome.row_id, outcome.flow, outcome.failure, outcome.usage, outputs
    )


def rows_of(
    source: Any, program: Program, limit: int | None, extent: Extent
) -> Iterator[Record | RowFailure]:
    """Return the records that the rows of a source start as, or why they are none.

    `extent` is told how far the source has been read. Raises `SourceError` for one that can't be.
    """
    return starts(islice(check_ids(read_rows(source, extent=extent)), limit), program, source)


@frozen
class Summary:
    """What a run over a source came to, or what it had come to when it was interrupted."""

    rows: int
    failed: int
    usage: Usage
    seconds: float
    folder: Path
    events: Mapping[str, int] = field(factory=dict)
    """How many parts stepped in, were drawn again, or ran out of rounds; by the kind of event."""
    recorded: int = 0
    """How many samples were in the journal of the folder, and so were not drawn again."""
    cached: int = 0
    """How many were in the cache, and so were not drawn at all."""
    loads: int = 0
    """How often a model was loaded."""
    costs: Costs | None = None
    """What was predicted, and what it came to in this call, where that was asked for."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, and what is in the run folder nevertheless."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        super().__init__(f"{summary.rows} rows are in {summary.folder}")


def run_to_folder(  # noqa: PLR0917
    about: About,
    found: Compiled,
    program: Program,
    source: Any,
    out: Path,
    settings: RunSettings,
) -> Summary:
    """Run a chain over a source and write a run folder; return what it came to.

    The folder says of each model what its engine promises, and so what the results are worth. An
    interruption leaves the folder with the rows that were done, marked as interrupted, and is
    raised as `Interrupted`. So does a row that fails because its model is down, since all rows
    after it would: the folder is marked as stopped, and `StopError` is raised.
    """
    started, plan = time.monotonic(), found.plan
    RunFolder.check(
        out, format=settings.format, overwrite=settings.overwrite, retry=settings.retry_failed
    )
    extent = Extent()
    rows = rows_of(source, program, settings.limit, extent)
    swapper = swapper_of(plan, program.items, settings)
    engines = swapper.engines
    forecaster = Forecaster.of(found, program, settings) if settings.analyze else None
    if forecaster is not None:
        rows = forecaster.watch(rows)
    way = way_of(settings)
    about = evolve(about, models={name: _told(one) for name, one in engines.items()})
    with (
        noted(),
        RunFolder.create(
            out,
            about,
            format=settings.format,
            overwrite=settings.overwrite,
            changed=settings.changed,
            skip=settings.on_error == "skip",
            inputs=lambda count: _hash(islice(rows, count)),
            retry=settings.retry_failed,
        ) as folder,
    ):
        ways = Ways(way, folder.journal)
        account = None if forecaster is None else Account.begin(forecaster, engines, ways)

        def summary() -> Summary:
            return _summary(folder, out, started, ways, account, loads=swapper.loads)

        stream = run(
            plan,
            rows,
            engines,
            seed=settings.seed,
            window=settings.window,
            first=folder.output.rows,
            open_port=ways.open,
            terms=Terms.of(settings),
            redraws=redrawn(folder.journal),
            swapper=swapper,
        )
        try:
            for outcome in stream:
                _go_on(outcome, settings)
                with held():
                    _write(folder, outcome, on_error=settings.on_error)
                if settings.on_row is not None:
                    settings.on_row(outcome, _expected(extent, settings.limit))
                if outcome.failure is not None and settings.on_error == "raise":
                    raise outcome.failure.error()
            with held():
                folder.finish()
        except KeyboardInterrupt as error:
            raise Interrupted(summary()) from error
        except StopError as error:
            (why,) = error.diagnostics
            with held():
                folder.finish("stopped", why=why.message)
            why = why if why.hint else evolve(why, hint=_GO_ON)
            raise StopError([why], summary()) from error
    return summary()


def _told(engine: Engine) -> dict[str, Any]:
    """Return what a run folder says of an engine."""
    return {"fingerprint": engine.fingerprint, "capabilities": asdict(engine.capabilities)}


def _go_on(outcome: Outcome, settings: RunSettings) -> None:
    """Raise `StopError` if a row has failed because its model is down."""
    failure = outcome.failure
    if failure is not None and failure.cause == "down" and settings.on_error != "raise":
        hint = "what was drawn is kept: run it again when the model is there\n" + _WAIT
        raise StopError([Diagnostic("stopped", failure.message, failure.span, hint)])


def _write(folder: RunFolder, outcome: Outcome, *, on_error: str) -> None:
    """Write what became of a row.

    A run that ends with a failure, or with one that would pass by itself, does that row again.
    """
    failure, start = outcome.failure, outcome.start
    number, fields = _read(failure if start is None else start)
    folder.write(
        number or outcome.index + 1,
        outcome.row_id,
        fields,
        outcome.flow,
        failure=failure,
        usage=outcome.usage,
        redo=failure is not None and (failure.transient or on_error == "raise"),
    )


def _read(start: Record | RowFailure | None) -> tuple[int, Mapping[str, Any]]:
    """Return the number and the fields of a row as it was read; none where that failed."""
    if isinstance(start, Record):
        return start.number, start.row
    return (start.line or 0 if start is not None else 0), {}


def _hash(starts: Iterable[Record | RowFailure]) -> str:
    """Return the hash of rows, as a run folder has it of those that are done."""
    found = ""
    for index, start in enumerate(starts, 1):
        number, fields = _read(start)
        found = read(found, number or index, fields)
    return found


def _summary(
    folder: RunFolder,
    out: Path,
    started: float,
    ways: Ways,
    account: Account | None,
    *,
    loads: int,
) -> Summary:
    done = folder.output
    return Summary(
        done.rows,
        done.failed,
        done.usage,
        time.monotonic() - started,
        out,
        dict(done.stepped_in),
        folder.before.calls + ways.from_journal,
        ways.from_cache,
        loads,
        None
        if account is None
        else account.costs(done.failed, done.stepped_in, folder.before.calls),
    )


def _expected(extent: Extent, limit: int | None) -> float | None:
    """Return how many rows there will be, as far as is known."""
    found = extent.expected()
    return found if limit is None else limit if found is None else min(found, limit)


def starts(
    rows: Iterable[Row | BadRow], program: Program, source: Any
) -> Iterator[Record | RowFailure]:
    """Yield the record that each row starts as, or why it is none."""
    door = Door.of(program.items, program.bound)
    for row in rows:
        if isinstance(row, BadRow):
            yield RowFailure(f"{spoken(source, row.number)}: {row.message}", line=row.number)
            continue
        try:
            yield door.record(row.fields, row.number, bare=row.bare)
        except InputError as error:
            yield RowFailure(f"{spoken(source, row.number)}: {error}", line=row.number)


def start_of(row: Any, program: Program) -> Record | RowFailure:
    """Return the record that one row starts as, or why it is none."""
    return next(starts(read_rows([row]), program, [row]))

"""A run into a folder: begun or resumed, written row by row, and ended in one of three ways."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import asdict, define, evolve, field, frozen

from chainlang.analysis.program import Program
from chainlang.data import Extent
from chainlang.engines.protocol import Engine
from chainlang.errors import StopError, error_of
from chainlang.interrupts import interrupts_deferred, interrupts_recorded
from chainlang.optimizer.compile import Compiled, planned
from chainlang.plan.render import render
from chainlang.protocol.messages import Usage
from chainlang.runtime.outcome import Outcome, RowFailure
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.outputs import EVERYTHING
from chainlang.semantics.record import Record
from chainlang.session.cost_report import Account, Costs, Ways
from chainlang.session.engine_pool import wanted
from chainlang.session.estimate import Forecaster
from chainlang.session.prepare import prepare
from chainlang.session.rows import rows_of
from chainlang.settings import RunSettings
from chainlang.store import About, RunFolder
from chainlang.store.output import read
from chainlang.store.retry_failed import redrawn

_GO_ON = "finished samples are saved; re-run the same command to resume, with a new budget"
_WAIT = "to wait longer before the run stops: --patience 3600, in Python patience=3600"


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


def run_to_folder(
    program: Program, source: Any, out: Path, settings: RunSettings, *, text: str, graph: str
) -> Summary:
    """Run a chain over a source and write a run folder; return what it came to.

    `text` and `graph` are the chain as text and as JSON. The folder says of each model what its
    engine promises, and so what the results are worth. An interruption leaves the folder with the
    rows that were done, marked as interrupted, and is raised as `Interrupted`. So does a row that
    fails because its model is down, since all rows after it would: the folder is marked as stopped,
    and `StopError` is raised.
    """
    about = about_of(planned(program, settings), settings, text=text, graph=graph)
    with (
        interrupts_recorded(),
        FolderRun.begin(program, source, out, settings, about) as folder_run,
    ):
        for outcome in folder_run.outcomes():
            folder_run.write(outcome)
            folder_run.note(outcome)
        folder_run.finish()
    return folder_run.summary()


def about_of(compiled: Compiled, settings: RunSettings, *, text: str, graph: str) -> About:
    """Return what a run folder says of a run before a model is loaded."""
    seen = {} if settings.outputs is None else {"outputs": sorted(settings.outputs)}
    lossy = {"lossy": list(compiled.plan.lossy)} if compiled.plan.lossy else {}
    return About(
        chain=text,
        graph=graph,
        plan=render(compiled.plan),
        meaning=render(evolve(compiled.naive, outputs=EVERYTHING)),
        outputs=compiled.plan.outputs,
        seed=settings.seed,
        settings={"model": settings.model, **seen, **lossy},
    )


@define(eq=False)
class FolderRun:
    """One run into a folder, from its first row to its last.

    ===========  =======================  ========================  ============================
    state        reached by               ``metadata.json`` says    the same call again
    ===========  =======================  ========================  ============================
    begun        `begin`                  nothing of this run       begins, or resumes as below
    running      `write`                  nothing of this run       resumes behind the last note
    complete     `finish`                 complete                  adds rows that are new
    stopped      `StopError` in the run   stopped, and why          resumes behind the last row
    interrupted  any other error, Ctrl-C  interrupted               resumes behind the last row
    broken       an error of the disk     nothing of this run       resumes behind the last note
    ===========  =======================  ========================  ============================

    A row that failed for a reason that passes, or that ended the run, is done again by a run that
    resumes. What the folder holds and in what order it becomes visible is in `store.run_folder`;
    how a run is resumed, in `store.resume`.
    """

    folder: RunFolder
    prepared: Prepared
    rows: Iterator[Record | RowFailure]
    extent: Extent
    """How far the source has been read."""
    out: Path
    settings: RunSettings
    ways: Ways
    account: Account | None
    """What was predicted, where that was asked for."""
    started: float

    @classmethod
    @contextmanager
    def begin(
        cls, program: Program, source: Any, out: Path, settings: RunSettings, about: About
    ) -> Iterator[FolderRun]:
        """Begin a run, or resume the one that the folder holds; the ``with`` block ends it.

        The folder and the source are looked at before a model is loaded.
        """
        started = time.monotonic()
        RunFolder.check(
            out, format=settings.format, overwrite=settings.overwrite, retry=settings.retry_failed
        )
        extent = Extent()
        rows = rows_of(source, program, settings.limit, extent)
        prepared = prepare(program, settings)
        engines = prepared.engines
        forecaster: Forecaster | None = None
        if settings.analyze:
            compiled = planned(program, settings)
            named = wanted(compiled.plan, program.items, settings)
            forecaster = Forecaster.of(compiled, named, settings)
            rows = forecaster.watch(rows)
        with RunFolder.create(
            out,
            evolve(about, models={name: _promised(one) for name, one in engines.items()}),
            format=settings.format,
            overwrite=settings.overwrite,
            changed=settings.changed,
            skip=settings.on_error == "skip",
            inputs=lambda count: _hash(islice(rows, count)),
            retry=settings.retry_failed,
        ) as folder:
            ways = Ways(prepared.open_port, folder.journal)
            account = None if forecaster is None else Account.begin(forecaster, engines, ways)
            prepared = evolve(prepared, open_port=ways.open)
            begun = cls(folder, prepared, rows, extent, out, settings, ways, account, started)
            with begun._ended():
                yield begun

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of each row that is not in the folder yet."""
        return run(
            self.prepared,
            self.rows,
            first=self.folder.output.rows,
            redraws=redrawn(self.folder.journal),
        )

    def write(self, outcome: Outcome) -> None:
        """Write what became of a row. Raises `StopError` instead where its model is down."""
        failure, start = outcome.failure, outcome.start
        ends = self.settings.on_error == "raise"
        if failure is not None and failure.cause == "down" and not ends:
            hint = (
                "finished samples are saved; re-run the same command to resume when the model is "
                f"available\n{_WAIT}"
            )
            raise error_of("stopped", failure.message, hint, span=failure.span)
        number, fields = _read(failure if start is None else start)
        with interrupts_deferred():
            self.folder.write(
                number or outcome.index + 1,
                outcome.row_id,
                fields,
                outcome.flow,
                failure=failure,
                usage=outcome.usage,
                redo=failure is not None and (failure.transient or ends),
            )

    def note(self, outcome: Outcome) -> None:
        """Report a row that is written. Raises `RowError` if it failed, and that ends the run."""
        if self.settings.on_row is not None:
            self.settings.on_row(outcome, self._expected())
        if outcome.failure is not None and self.settings.on_error == "raise":
            raise outcome.failure.error()

    def finish(self) -> None:
        """Complete all files: every row of the source is in them."""
        with interrupts_deferred():
            self.folder.finish()

    def summary(self) -> Summary:
        """Return what the run has come to so far."""
        done, before = self.folder.output, self.folder.before.calls
        account, swapper = self.account, self.prepared.swapper
        return Summary(
            done.rows,
            done.failed,
            done.usage,
            time.monotonic() - self.started,
            self.out,
            dict(done.stepped_in),
            before + self.ways.from_journal,
            self.ways.from_cache,
            0 if swapper is None else swapper.loads,
            None if account is None else account.costs(done.failed, done.stepped_in, before),
        )

    @contextmanager
    def _ended(self) -> Iterator[None]:
        """Say what was written so far, where the block is interrupted or stopped."""
        try:
            yield
        except KeyboardInterrupt as error:
            raise Interrupted(self.summary()) from error
        except StopError as error:
            (why,) = error.diagnostics
            with interrupts_deferred():
                self.folder.finish("stopped", why=why.message)
            why = why if why.hint else evolve(why, hint=_GO_ON)
            raise StopError([why], self.summary()) from error

    def _expected(self) -> float | None:
        """Return how many rows there will be, as far as is known."""
        found, limit = self.extent.expected(), self.settings.limit
        return found if limit is None else limit if found is None else min(found, limit)


def _promised(engine: Engine) -> dict[str, Any]:
    """Return what a run folder says of an engine."""
    return {"fingerprint": engine.fingerprint, "capabilities": asdict(engine.capabilities)}


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

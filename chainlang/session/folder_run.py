"""Runs into folders: started or resumed, written row by row, and finished."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import asdict, define, evolve

from chainlang.analysis.program import Program
from chainlang.data import Extent, Marks
from chainlang.display.progress import Meter
from chainlang.engines.protocol import Engine, fingerprint_of
from chainlang.errors import StopError, error_of
from chainlang.interrupts import interrupts_deferred, interrupts_recorded
from chainlang.ir.declarations import Model
from chainlang.optimizer.compile import planned
from chainlang.protocol.price import total
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.prepared import Prepared
from chainlang.runtime.run_loop import run
from chainlang.semantics.record import Record
from chainlang.semantics.row_failure import RowFailure
from chainlang.session.about_run import about_of, marked
from chainlang.session.addresses import counts_of
from chainlang.session.check_shard import check_shard
from chainlang.session.cost_report import CostMeter, PortFactory
from chainlang.session.engine_pool import wanted
from chainlang.session.estimate import CostEstimator
from chainlang.session.frozen_heap import frozen_heap
from chainlang.session.inputs import Split, hashed, read_of
from chainlang.session.journal_home import home_of
from chainlang.session.named_models import with_models
from chainlang.session.policies import choices_of, said
from chainlang.session.prepare import prepare
from chainlang.session.reuse import reused
from chainlang.session.rewards import journaled
from chainlang.session.rows import Rows, expected_rows
from chainlang.session.run_progress import ended, metered
from chainlang.session.summary import Interrupted, Summary
from chainlang.session.warm_models import as_begun
from chainlang.settings import WHOLE, RunSettings
from chainlang.store import About, RunFolder, Source
from chainlang.store.journal_home import IN_FOLDER, JournalHome
from chainlang.store.passed import NOTHING, Passed
from chainlang.store.retry_failed import redrawn

__all__ = ["Interrupted", "Summary"]

_GO_ON = "finished samples are saved; re-run the same command to resume, with a new budget"
_WAIT = "to wait longer before the run stops: --patience 3600, in Python patience=3600"


def run_to_folder(
    program: Program,
    source: Any,
    out: Path,
    settings: RunSettings,
    *,
    text: str,
    graph: str,
    decisions: str = "",
) -> Summary:
    """Run a chain over a source and write a run folder; return its summary.

    `text` and `graph` are the chain as text and as JSON, with the values of its AUTO, which
    `decisions` records. Raises `Interrupted` after an interruption
    and `StopError` if a model is unavailable or a budget is used up; the folder has the completed
    rows, and is marked so.
    """
    program, policies = with_models(program, settings), said(choices_of(program, settings))
    about = about_of(program, settings, text=text, graph=graph)
    about = evolve(about, policies=policies, decisions=decisions, shard=settings.shard)
    shard = settings.shard
    if shard is not None:
        check_shard(program, settings)
        out = shard.folder(out)
    settings, progress = metered(settings)
    with (
        interrupts_recorded(),
        ended(progress),
        home_of(settings, out) as home,
        FolderRun.begin(
            program, source, out, settings, about, home=home, progress=progress
        ) as folder_run,
        frozen_heap(),
    ):
        for outcome in folder_run.outcomes():
            folder_run.write(outcome)
            folder_run.note(outcome)
        folder_run.finish()
    return folder_run.summary()


@define(eq=False)
class FolderRun:
    """One run into a folder, from its first row to its last.

    ===========  =======================  ========================  ============================
    state        entered by               ``metadata.json``         the same call again
    ===========  =======================  ========================  ============================
    started      `begin`                  not written               starts, or resumes as below
    running      `write`                  not written               resumes after the last note
    complete     `finish`                 complete                  adds new rows
    stopped      `StopError` in the run   stopped, with the reason  resumes after the last row
    interrupted  any other error, Ctrl-C  interrupted               resumes after the last row
    broken       an error of the disk     not written               resumes after the last note
    ===========  =======================  ========================  ============================

    A resumed run repeats a row that failed with a transient error or that ended the run. The files
    of a folder are described in `store.run_folder`, and resuming in `store.resume`.
    """

    folder: RunFolder
    prepared: Prepared
    rows: Iterator[Record | RowFailure]
    extent: Extent
    """Number of rows that were read from the source."""
    out: Path
    settings: RunSettings
    ports: PortFactory
    meter: CostMeter | None
    """Measures costs, with `analyze`."""
    started: float
    split: Split
    progress: Meter | None = None
    """Shows the progress."""

    @classmethod
    @contextmanager
    def begin(
        cls,
        program: Program,
        source: Any,
        out: Path,
        settings: RunSettings,
        about: About,
        *,
        home: JournalHome = IN_FOLDER,
        progress: Meter | None = None,
    ) -> Iterator[FolderRun]:
        """Start a run, or resume the one in the folder; it ends with the ``with`` block.

        The folder and the source are checked before a model is loaded.
        """
        started = time.monotonic()
        RunFolder.check(
            out,
            format=settings.format,
            overwrite=settings.overwrite,
            retry=settings.retry_failed,
            home=home,
        )
        settings = as_begun(settings, out, home)
        hold_escapes(settings)
        extent = Extent(marks=Marks() if settings.shard is None else None)
        if progress is not None:
            progress.expected = partial(expected_rows, extent, settings.limit, settings.shard)
        split = Split(settings.shard or WHOLE, is_split=settings.shard is not None)
        rows = Rows.of(source, program, settings, extent, split)
        prepared = prepare(program, settings)
        engines = prepared.engines
        estimator: CostEstimator | None = None
        if settings.analyze:
            compiled = planned(program, settings)
            named = wanted(compiled.plan, program.items, settings)
            estimator = CostEstimator.of(compiled, named, settings)
            rows.watch(estimator.watch)
        adapters = prepared.plan.adapters
        models = {name: _promised(one, adapters.get(name, "")) for name, one in engines.items()}
        with RunFolder.create(
            out,
            evolve(about, models=models),
            format=settings.format,
            part_rows=settings.part_rows,
            escape_formulas=settings.escape_formulas,
            overwrite=settings.overwrite,
            changed=settings.changed,
            skip=settings.on_error == "skip",
            source=Source(
                skip=partial(_skipped, rows, split),
                look=lambda count: hashed(rows.ahead(count), split.shard),
                limit=settings.limit,
                shard=split.shard,
            ),
            retry=settings.retry_failed,
            private=_has_secrets(program, settings),
            home=home,
        ) as folder:
            ports = PortFactory(prepared.open_port, folder.journal)
            meter = None if estimator is None else CostMeter.begin(estimator, engines, ports)
            mark, date = marked(prepared, folder.journal), folder.date or prepared.date
            prepared = evolve(prepared, mark=mark, date=date, shard=split.shard)
            if settings.say is not None:
                for message in reused(folder, prepared, rows):
                    settings.say(message)
            prepared = journaled(evolve(prepared, open_port=ports.open), folder.journal)
            begun = cls(
                folder,
                prepared,
                rows,
                extent,
                out,
                settings,
                ports,
                meter,
                started,
                split,
                progress,
            )
            if progress is not None:
                progress.begin(folder.output.rows)
            with begun._ended():
                yield begun

    def outcomes(self) -> Iterator[Outcome]:
        """Yield the outcome of each row that is not in the folder, in order and without a gap.

        After an interrupt, rows behind one that is not completed are left out: the files keep the
        order of the rows, and the journal has their samples.
        """
        due = self.folder.output.rows
        redraws = redrawn(self.folder.journal)
        watch = None if self.progress is None else self.progress.beat
        for outcome in run(self.prepared, self.rows, first=due, redraws=redraws, watch=watch):
            if outcome.index == due:
                due += 1
                yield outcome

    def write(self, outcome: Outcome) -> None:
        """Write the outcome of a row. Raises `StopError` instead if its model is unavailable."""
        failure, start = outcome.failure, outcome.start
        ends = self.settings.on_error == "raise"
        failures = outcome.failures
        down = next((one for one in failures if one.cause == "down"), None) if failures else None
        if down is not None and not ends:
            hint = (
                "finished samples are saved; re-run the same command to resume when the model is "
                f"available\n{_WAIT}"
            )
            raise error_of("stopped", down.message, hint, span=down.span)
        origin, fields = read_of(failure if start is None else start)
        with interrupts_deferred():
            self.folder.write(
                origin
                if origin.number
                else evolve(origin, number=self.split.shard.row(outcome.index) + 1),
                outcome.row_id,
                fields,
                outcome.flow,
                failure=failure,
                usages=outcome.usages,
                events=outcome.events,
                redo=any(one.transient or ends for one in failures),
            )

        marks, output = self.extent.marks, self.folder.output
        if marks is not None and (mark := marks.due(output.rows)) is not None:
            output.passed = Passed(output.inputs, mark)

    def note(self, outcome: Outcome) -> None:
        """Report a written row. Raises `RowError` if it failed and `on_error` is ``raise``."""
        if self.progress is not None:
            self.progress.row(failed=outcome.failure is not None)
        if self.settings.on_row is not None:
            expected = expected_rows(self.extent, self.settings.limit, self.settings.shard)
            self.settings.on_row(outcome, expected)
        if outcome.failure is not None and self.settings.on_error == "raise":
            raise outcome.failure.error()

    def finish(self) -> None:
        """Complete all files, after the last row of the source."""
        with interrupts_deferred():
            addresses = counts_of(self.prepared.engines)
            self.folder.finish(whole=self.split.whole(), addresses=addresses)

    def summary(self) -> Summary:
        """Return the summary of the run so far."""
        done, before = self.folder.output, self.folder.before.total.calls
        meter, swapper = self.meter, self.prepared.swapper
        return Summary(
            done.rows,
            done.failed,
            done.usages.total,
            time.monotonic() - self.started,
            self.out,
            dict(done.events),
            done.usages.by_model(),
            done.usages.by_stage(),
            before + self.ports.from_journal,
            self.ports.from_cache,
            0 if swapper is None else swapper.loads,
            None if meter is None else meter.costs(done.failed, done.events, before),
            total(spent := self.folder.journal.spent),
            spent,
            self.folder.home.waited,
            dict(done.left_out),
            self.ports.went_on if self.ports.from_journal else None,
        )

    @contextmanager
    def _ended(self) -> Iterator[None]:
        """Add the summary to an interruption or a stop that is raised in the block."""
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


def hold_escapes(settings: RunSettings) -> None:
    """Raise `SettingError` for formulas to escape in tables of another format than CSV."""
    if settings.escape_formulas and settings.format != "csv":
        hint = "write format='csv' beside it, or leave it out"
        raise error_of("setting", "escape_formulas is for CSV alone", hint)


def _skipped(rows: Rows, split: Split, count: int, passed: Passed) -> str:
    """Read the rows that are completed; return their hash."""
    if passed.mark is None or not rows.passes(passed.mark):
        passed = NOTHING
    return hashed(islice(rows, count - passed.rows), split.shard, passed)


def _has_secrets(program: Program, settings: RunSettings) -> bool:
    """Return whether a run has an API key, in its settings or in those of a model."""
    given = (getattr(settings, name) for name, one in settings.takes().items() if one.is_secret)
    declared = (one for item in program.items if isinstance(item, Model) for one in item.settings)
    return any(one is not None for one in given) or any(one.name == "api_key" for one in declared)


def _promised(engine: Engine, adapter: str) -> dict[str, Any]:
    """Return the description of the engine of a model for the run folder."""
    found = fingerprint_of(engine, adapter)
    return {"fingerprint": found, "capabilities": asdict(engine.capabilities)}

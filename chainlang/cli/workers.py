"""``chainlang run --workers N``: a process for each shard, one progress, one folder at the end."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from chainlang.cli import interrupt
from chainlang.cli.closing_lines import STOPPED, closing_lines
from chainlang.cli.flags import given
from chainlang.cli.output import log, report, say
from chainlang.cli.read_chain import read_chain
from chainlang.display.progress import Status
from chainlang.display.progress_displays import standard_display
from chainlang.errors import error_of
from chainlang.settings import RunSettings, Shard

if TYPE_CHECKING:
    from chainlang.api.chain import Chain
    from chainlang.scale.workers import Note

BAD_INPUT = 2
_FIRST = ("overwrite", "retry_failed", "changed")
"""Settings of the first attempt of a worker alone: a later one resumes it."""
_OF_ONE = ("run_calls", "run_tokens", "run_cost", "analyze", "shard", "store")
"""Settings of one process, which several can't share."""
_OF_TABLES = ("format", "escape_formulas", "part_rows")
"""Settings of the merged tables."""
_DECIDER = 0
"""Number of the worker that decides values before the others start."""


def check(options: argparse.Namespace) -> None:
    """Raise `SettingError` for options that do not go with workers."""
    wanted = f"--workers {options.workers}"
    if options.workers < 1:
        raise error_of("setting", f"{wanted}: a run has at least one worker")
    if "-" in (str(options.output), options.chain, *map(str, options.input)):
        hint = "write the rows and the chain into files, and the results into a folder"
        raise error_of("setting", f"{wanted} can't share stdin or stdout", hint)
    if options.metrics_port is not None:
        hint = "leave out --metrics-port; chainlang runs show has the progress of all"
        raise error_of("setting", f"{wanted} can't share one port", hint)
    settings = RunSettings.of(given(options, RunSettings))
    for name in _OF_ONE:
        if getattr(settings, name):
            flag = f"--{name.replace('_', '-')}"
            hint = f"leave out {flag}, or run without --workers"
            raise error_of("setting", f"{wanted}: {flag} is for one process", hint, setting=name)
    from chainlang.scale.merge import hold_replaceable

    hold_replaceable(Path(options.output), overwrite=settings.overwrite)


def as_worker(options: argparse.Namespace) -> None:
    """Make the options of the run those of one of its workers, which ends with its parent."""
    number, _, attempt = options.worker.partition(".")
    options.log_format, options.json = "pages", False
    if int(number):
        options.shard = str(Shard(int(number), options.workers))
        options.format, options.escape_formulas, options.part_rows = "jsonl", None, None
    if int(attempt) > 1:
        for name in _FIRST:
            setattr(options, name, None)

    def watch() -> None:
        while os.read(0, 1):  # without a lock, which the end of the process would wait for
            pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, name="chainlang parent", daemon=True).start()


@define(eq=False)
class Board:
    """The progress of all workers, shown as one."""

    as_log: bool
    started: float = field(factory=time.monotonic)
    progress: dict[int, Mapping[str, Any]] = field(factory=dict)
    """The latest progress or summary of each worker."""
    seen: set[str] = field(factory=set)
    display: Any = field(factory=standard_display)
    _shown: float = field(factory=time.monotonic)

    def hear(self, note: Note) -> None:
        """Take up a note of a worker."""
        match note.event:
            case "progress" | "summary":
                self.progress[note.worker] = note.fields
                self._show()
            case "died":
                self._say(f"worker {note.worker} died ({note.fields['why']}), and is started again")
            case "error" | "warning":
                self._found(note)
            case "note":
                text = str(note.fields.get("message", ""))
                if text not in self.seen:
                    self.seen.add(text)
                    self._say(text)
            case _:
                if note.text and note.text not in self.seen:
                    self.seen.add(note.text)
                    self._say(f"worker {note.worker}: {note.text}")

    def _found(self, note: Note) -> None:
        """Show an error or a warning of a worker, once; of failed rows the first few."""
        fields = note.fields
        text = str(fields.get("message", ""))
        if text in self.seen or len(self.seen) > 100:
            return
        self.seen.add(text)
        page = fields.get("page")
        self._say(text if page is None else f"{page}\n")

    def _say(self, text: str) -> None:
        if self.as_log:
            log("note", message=text)
        else:
            self.display(text)

    def _show(self) -> None:
        now = time.monotonic()
        every = 10.0 if self.as_log else self.display.every
        if now - self._shown < every:
            return
        self._shown = now
        status = self.status()
        if self.as_log:
            names = ("rows", "failed", "rows_per_second", "tokens_per_second", "seconds_left")
            log("progress", **{name: getattr(status, name) for name in names})
        else:
            self.display(status)

    def status(self) -> Status:
        """Return the progress of all workers together."""
        each = self.progress.values()
        left = [one["seconds_left"] for one in each if one.get("seconds_left") is not None]
        expected = [one.get("expected") for one in each]
        known = [one for one in expected if one is not None]
        total: dict[str, float] = {
            name: sum(one.get(name) or 0 for one in each)
            for name in ("rows", "failed", "rows_per_second", "tokens_per_second")
        }
        return Status.of(
            int(total["rows"]),
            sum(known) if known and len(known) == len(expected) else None,
            int(total["failed"]),
            total["rows_per_second"],
            total["tokens_per_second"],
            time.monotonic() - self.started,
            max(left) if left else None,
        )

    def end(self) -> None:
        """End the progress."""
        end = getattr(self.display, "end", None)
        if end is not None and not self.as_log:
            end(self.status())


def is_decider(options: argparse.Namespace) -> bool:
    """Return whether a worker only decides the values of a chain, before the others start."""
    return options.worker is not None and options.worker.startswith(f"{_DECIDER}.")


def decide(chain: Chain, options: argparse.Namespace) -> int:
    """Decide the values of a chain, and write them into the folder of the run."""
    from chainlang.session.decide import decided_for_shards
    from chainlang.session.named_models import with_models

    settings = RunSettings.of(given(options, RunSettings))
    decided_for_shards(chain.program(), settings, with_models, Path(options.output))
    return 0


def _is_undecided(options: argparse.Namespace, settings: RunSettings) -> bool:
    """Check the chain as a worker will; return whether values of it are to be decided first.

    So an error of the chain is that of one process: once, before anything is started.
    """
    from chainlang.session.check_shard import check_shard
    from chainlang.session.decide import exemplified, is_open, known_in
    from chainlang.session.named_models import with_models

    chain, warned = read_chain(options.chain, options.functions, options.allow)
    report(warned, as_json=options.json, log_format=options.log_format)
    program = chain.program()
    of_shard = settings.model_copy(update={"format": "jsonl", "shard": Shard(1, options.workers)})
    check_shard(with_models(exemplified(program), settings), of_shard)
    if not is_open(program):
        return False
    is_fresh = settings.overwrite or settings.changed
    return bool(is_fresh or not known_in(program, Path(options.output)))


def run_workers(options: argparse.Namespace) -> int:
    """Run all workers and merge their shards; the statuses are those of a run."""
    from chainlang.scale import merge
    from chainlang.scale.workers import Workers

    check(options)
    settings = RunSettings.of(given(options, RunSettings))
    is_undecided = _is_undecided(options, settings)
    board = Board(as_log=options.log_format == "json")
    words = [sys.executable, "-m", "chainlang", *options.words]

    def command(number: int, attempt: int) -> list[str]:
        return [*words, "--worker", f"{number}.{attempt}"]

    try:
        statuses: dict[int, int] = {}
        if is_undecided:  # in a process of its own, so that its models are gone before the others
            one = Workers(1, lambda _, attempt: command(_DECIDER, attempt), board.hear)
            statuses = one.run()
        if _status(statuses) == 0:
            statuses = Workers(options.workers, command, board.hear).run()
    finally:
        board.end()
    worst = _status(statuses)
    if worst != 0:
        ended = {interrupt.STATUS: "interrupted", BAD_INPUT: "ended"}.get(worst, "stopped")
        if worst != BAD_INPUT:
            rows = board.status().rows
            say(f"{ended}: {rows:,} rows are written; to resume, run the same command again")
        return worst
    out = Path(options.output)
    folders = [Shard(number, options.workers).folder(out) for number in statuses]
    summary = merge(
        folders,
        out,
        format=settings.format,
        part_rows=settings.part_rows,
        escape_formulas=settings.escape_formulas,
        overwrite=settings.overwrite,
    )
    summary = evolve(summary, seconds=time.monotonic() - board.started)
    for line in closing_lines(summary, 0):
        say(line)
    return int(summary.failed > 0)


def _status(statuses: Mapping[int, int]) -> int:
    """Return the exit status of a run from those of its workers; 0 if all are complete."""
    found = {one if one in (0, 1, BAD_INPUT, STOPPED, interrupt.STATUS) else STOPPED
             for one in statuses.values()} - {0, 1}  # fmt: skip
    return next((one for one in (BAD_INPUT, interrupt.STATUS, STOPPED) if one in found), 0)

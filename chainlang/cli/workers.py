"""``chainlang run --workers N``: a process for each shard, one progress, one folder at the end."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from chainlang.cli import interrupt
from chainlang.cli.closing_lines import STOPPED, closing_lines, log_summary, say_summary
from chainlang.cli.flags import given
from chainlang.cli.observed import row_ends, traced
from chainlang.cli.output import counted, mark_log, report, say
from chainlang.cli.read_chain import model_name, read_chain
from chainlang.cli.worker_board import Board
from chainlang.errors import error_of
from chainlang.settings import RunSettings, Shard

BAD_INPUT = 2
_FIRST = ("overwrite", "retry_failed", "changed")
"""Settings of a worker until it has begun: one that is started again later resumes its run."""
_OF_ONE = ("run_calls", "run_tokens", "run_cost", "analyze", "shard")
"""Settings of one process, which several can't share."""
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
    settings = RunSettings.of(given(options, RunSettings))
    for name in _OF_ONE:
        if getattr(settings, name):
            flag = f"--{name.replace('_', '-')}"
            hint = f"leave out {flag}, or run without --workers"
            raise error_of("setting", f"{wanted}: {flag} is for one process", hint, setting=name)


def _hold_folder(out: Path, settings: RunSettings, workers: int) -> None:
    """Raise what is wrong with the folder, or with the tables that are to be in it."""
    from chainlang.scale.merge_folders import hold_replaceable
    from chainlang.scale.shard_runs import shard_folders
    from chainlang.session.folder_run import hold_escapes
    from chainlang.store.resume import no_retry
    from chainlang.store.table_formats import converter

    converter(settings.format)
    hold_escapes(settings)
    folders = shard_folders(out)
    hold_replaceable(out, overwrite=settings.overwrite)
    others = {shard.of for one in folders if (shard := Shard.named(one.name))} - {workers}
    if others and not settings.overwrite:
        there = " and ".join(map(str, sorted(others)))
        what = f"{out}: the run here has {there} shards, which {workers} workers can't resume"
        hint = (
            f"resume it: --workers {max(others)}; name another folder; or run all anew: --overwrite"
        )
        raise error_of("file", what, hint)
    if settings.retry_failed and (settings.overwrite or not folders):
        raise no_retry(str(out), overwrite=settings.overwrite)
    if settings.limit is not None and not settings.overwrite:
        _hold_limit(out, folders, settings.limit)


def _hold_limit(out: Path, folders: Sequence[Path], limit: int) -> None:
    """Raise `SourceError` if a limit leaves out rows that a shard has."""
    from chainlang.scale.progress import progress_of
    from chainlang.store.resume import hold_limit

    found = [one for one in progress_of(folders) if one.rows]
    last = max((one.shard.row(one.rows - 1) + 1 for one in found), default=0)
    hold_limit(str(out), sum(one.rows for one in found), last, limit)


def as_worker(options: argparse.Namespace) -> None:
    """Make the options of the run those of one of its workers, which ends with its parent.

    ``--worker`` has its number, 1 if it resumes this run and else 0, and the mark of its log.
    """
    number, resumes, mark = options.worker.split(".")
    mark_log(mark)
    options.log_format, options.json = "pages", False
    if int(number):
        options.shard = str(Shard(int(number), options.workers))
        options.format, options.escape_formulas, options.part_rows = "jsonl", None, None
    if int(resumes):
        for name in _FIRST:
            setattr(options, name, None)

    def watch() -> None:
        while os.read(0, 1):  # without a lock, which the end of the process would wait for
            pass
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=watch, name="chainlang parent", daemon=True).start()


def is_decider(options: argparse.Namespace) -> bool:
    """Return whether a worker only decides the values of a chain, before the others start."""
    return options.worker is not None and options.worker.startswith(f"{_DECIDER}.")


def decide(options: argparse.Namespace) -> int:
    """Decide the values of a chain, and write them into the folder of the run."""
    from chainlang.session.decide import decided_for_shards
    from chainlang.session.named_models import with_models

    chain, _ = read_chain(options.chain, options.functions, options.allow)
    settings = RunSettings.of(given(options, RunSettings))
    decided_for_shards(chain.program(), settings, with_models, Path(options.output))
    return 0


def _is_undecided(options: argparse.Namespace, settings: RunSettings) -> bool:
    """Check the chain as a worker will; return whether values of it are to be decided first.

    So an error of the chain is that of one process: once, before anything is started.
    """
    from chainlang.session.check_shard import check_rates, check_shard
    from chainlang.session.decide import exemplified, is_open, known_in
    from chainlang.session.named_models import with_models

    chain, warned = read_chain(options.chain, options.functions, options.allow)
    if not options.json:
        report(warned, log_format=options.log_format)
    program, wanted = chain.program(), f"--workers {options.workers}"
    of_shard = settings.model_copy(update={"format": "jsonl", "shard": Shard(1, options.workers)})
    named = with_models(exemplified(program), settings)
    check_shard(named, of_shard, wanted)
    if options.workers > 1:
        check_rates(named, settings, wanted)
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
    _hold_folder(Path(options.output), settings, options.workers)
    words, mark = [sys.executable, "-m", "chainlang", *options.words], secrets.token_hex(8)

    def command(number: int, resumes: bool) -> list[str]:
        return [*words, "--worker", f"{number}.{int(resumes)}.{mark}"]

    with _observed(options) as board:
        statuses: dict[int, int] = {}
        try:
            if is_undecided:  # in a process of its own, so that its models are gone afterwards
                decider = partial(command, _DECIDER)
                one = Workers(1, lambda _, resumes: decider(resumes), board.hear, mark)
                statuses = one.run()
            if _status(statuses) == 0:
                statuses = Workers(options.workers, command, board.hear, mark).run()
        finally:
            board.end()
    worst = _status(statuses)
    if worst != 0:
        if worst != BAD_INPUT:
            _say_unfinished(board, options, worst)
        return worst
    out = Path(options.output)
    folders = [Shard(number, options.workers).folder(out) for number in statuses]
    merged = merge(
        folders,
        out,
        format=settings.format,
        part_rows=settings.part_rows,
        escape_formulas=settings.escape_formulas,
        overwrite=settings.overwrite,
        changed=settings.changed,
        store=None if settings.store is None else settings.store.get_secret_value(),
    )
    summary, status = board.completed(merged), int(merged.failed > 0)
    show = log_summary if options.log_format == "json" else say_summary
    show(summary, board.shown_rows, status)
    return status


def _say_unfinished(board: Board, options: argparse.Namespace, status: int) -> None:
    """Say what there is of a run that was interrupted, or of which a worker has stopped."""
    from chainlang.scale.shard_runs import shard_folders

    summary, again = board.summary(Path(options.output)), "to resume, run the same command again"
    if options.log_format == "json" and summary is not None:
        log_summary(summary, board.shown_rows, status)
        return
    ended = "interrupted" if status == interrupt.STATUS else "stopped"
    begin = f"{ended}: {counted(board.status().rows, 'row')} written"
    say(begin if summary is None else next(closing_lines(summary, status)))
    if shard_folders(Path(options.output)):
        say(f"results so far: {Path(options.output) / 'shard-*' / 'flattened'}")
    say(again)


@contextmanager
def _observed(options: argparse.Namespace) -> Iterator[Board]:
    """Yield the board of a run whose spans are of one trace, and whose metrics are sums."""
    with ExitStack() as stack:
        lost = stack.enter_context(traced(options.trace_endpoint, workers=options.workers))
        row = stack.enter_context(row_ends(options.metrics_port, model_name(options.chain)))
        yield Board(options.workers, options.log_format, options.json, row, lost)


def _status(statuses: Mapping[int, int]) -> int:
    """Return the exit status of a run from those of its workers; 0 if all are complete."""
    found = {one if one in (0, 1, BAD_INPUT, STOPPED, interrupt.STATUS) else STOPPED
             for one in statuses.values()} - {0, 1}  # fmt: skip
    return next((one for one in (BAD_INPUT, interrupt.STATUS, STOPPED) if one in found), 0)

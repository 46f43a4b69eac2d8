"""``chainlang run EXPR|FILE -i rows -o folder``: run a chain over a file of rows."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from chainlang.cli import interrupt, to_stdout
from chainlang.cli.closing_lines import STOPPED, closing_lines, log_summary, say_summary
from chainlang.cli.failures import Failures
from chainlang.cli.flags import (
    Command,
    add_allow,
    add_chain,
    add_flags,
    add_functions,
    examples,
    given,
)
from chainlang.cli.observed import add_metrics_port, add_trace_endpoint, observed
from chainlang.cli.output import report, say
from chainlang.cli.progress import LoggedProgress
from chainlang.cli.read_chain import model_name, read_chain
from chainlang.errors import DiskError, StopError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chainlang.api.chain import Chain
    from chainlang.runtime.outcome import Outcome


_UNSAVED = "nothing is saved; into a folder, -o FOLDER, the same command resumes the run"


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "run",
        help=about,
        description="Run a chain over a file of rows, and write the results into a folder. "
        "The same command resumes a run that was interrupted or has stopped.",
        usage="%(prog)s EXPR|FILE -i ROWS -o FOLDER [options]",
        epilog=examples(
            "chainlang run '9:E >> M' -i questions.jsonl -o runs/a",
            "chainlang run qa.chain -i rows.csv -o runs/b --rename 'Question=query'",
            "chainlang run qa.chain -i - -o - < rows.jsonl > answers.jsonl",
            "chainlang run qa.chain -i rows.csv -o runs/b --retry-failed",
        ),
    )
    add_chain(parser)
    parser.add_argument(
        "-i",
        "--input",
        required=True,
        type=Path,
        nargs="+",
        metavar="ROWS",
        help="input files or folders: .jsonl, .csv, .tsv (also .gz, .zst), .parquet; - for stdin",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=Path,
        metavar="FOLDER",
        help="run folder, created or resumed; - prints the results to stdout and keeps nothing",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="write errors as JSON to stdout")
    form.add_argument(
        "--log-format",
        choices=("text", "json"),
        default="text",
        help="format of progress and summary: text, or lines of JSON (default: text)",
    )
    add_metrics_port(parser)
    add_trace_endpoint(parser)
    add_functions(parser)
    add_allow(parser)
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="run in N processes, each with GPUs or cores of its own; one folder at the end",
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)  # of `workers.as_worker`
    parser.complete = _complete
    parser.set_defaults(run=run, is_kept=True)


def parser() -> argparse.ArgumentParser:
    """Return a parser of this command alone."""
    made = argparse.ArgumentParser(prog="chainlang")
    add(made.add_subparsers(required=True, parser_class=Command), "")
    return made


def _complete(parser: Command) -> None:
    from chainlang.settings import RunSettings

    add_flags(parser, RunSettings)


def run(options: argparse.Namespace) -> int:
    """Run the chain; return 1 if rows failed, 3 if the run stopped, 130 after Ctrl-C."""
    if options.workers is not None:
        from chainlang.cli import workers  # 100 ms for the settings

        if options.worker is None:
            return workers.run_workers(options)
        workers.as_worker(options)
        try:
            return workers.decide(options) if workers.is_decider(options) else _run(options)
        except KeyboardInterrupt:  # the first process says so
            return interrupt.STATUS
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    chain, warned = read_chain(options.chain, options.functions, options.allow)
    if not options.json and options.worker is None:
        report(warned, log_format=options.log_format)
    is_printed = options.output == to_stdout.STDOUT
    with to_stdout.folder_of(options) if is_printed else nullcontext():
        return run_chain(chain, options)


def run_chain(
    chain: Chain, options: argparse.Namespace, settings: Mapping[str, Any] | None = None
) -> int:
    """Run a chain with the flags of this command; `settings` are those that no flag gives."""
    from chainlang.session.summary import Interrupted  # 200 ms that other commands do not need
    from chainlang.settings import RunSettings

    as_log = options.log_format != "text"
    failures = Failures()
    try:
        with observed(options, model_name(options.chain)) as observe:

            def done(outcome: Outcome, _: object) -> None:
                failures.row(outcome)
                observe(outcome)

            summary = chain.run(
                options.input if len(options.input) > 1 else options.input[0],
                options.output,
                **{**(settings or {}), **given(options, RunSettings)},
                progress=_progress(options),
                on_row=done,
            )
    except Interrupted as interrupted:
        summary, status = interrupted.summary, interrupt.STATUS
    except StopError as stopped:
        summary, status = stopped.summary, STOPPED
        kept = options.is_kept
        failures.found += (
            one if kept else evolve(one, hint=_UNSAVED) for one in stopped.diagnostics
        )
    except DiskError as full:
        if not options.is_kept:
            raise
        report(full.diagnostics, as_json=options.json, log_format=options.log_format)
        return STOPPED
    else:
        status = int(summary.failed > 0)
    if failures.found:
        report(
            failures.found,
            as_json=options.json,
            log_format=options.log_format,
            of_rows=failures.of_rows,
        )
    if not options.is_kept and not as_log:
        say(next(closing_lines(summary, status)))
    else:
        (log_summary if as_log else say_summary)(summary, failures.rows, status)
    return status


def _progress(options: argparse.Namespace) -> LoggedProgress | bool:
    """Return the display of a run; a worker writes what another process shows."""
    if getattr(options, "worker", None) is not None:
        return LoggedProgress(every=0.5)
    return LoggedProgress() if options.log_format == "json" else True

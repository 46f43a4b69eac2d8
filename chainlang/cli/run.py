"""``chainlang run EXPR|FILE -i rows -o folder``: run a chain over a file of rows."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from attrs import define, field

from chainlang.cli.chains import read_chain, settings
from chainlang.cli.output import report
from chainlang.runtime.outcomes import Outcome
from chainlang.wire import Usage

_EVERY = 10.0  # seconds between lines where there is no terminal
_REDRAW = 0.1  # seconds between redraws on one


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("run", help="run a chain over rows", description=__doc__)
    parser.add_argument("chain", metavar="EXPR|FILE", help="a notation, or a file ending in .chain")
    parser.add_argument(
        "-i", "--input", required=True, type=Path, help="rows: .jsonl, .csv, .tsv or .parquet"
    )
    parser.add_argument("-o", "--output", required=True, type=Path, help="the folder of the run")
    parser.add_argument("--model", help="the model of every stage that names none (default: tiny)")
    parser.add_argument("--limit", help="take only so many rows")
    parser.add_argument("--seed", help="the seed of the run (default: 0)")
    parser.add_argument("--window", help="rows in flight (default: 256)")
    parser.add_argument("--format", help="of the results: jsonl, csv or parquet (default: jsonl)")
    parser.add_argument("--overwrite", action="store_true", help="replace a run that is there")
    parser.add_argument("--json", action="store_true", help="write errors as JSON to stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run; 1 if rows failed, 2 for a chain, rows or a folder that can't be used."""
    chain, warned = read_chain(options.chain)
    if not options.json:
        report(warned)
    progress = Progress(sys.stderr.isatty())
    try:
        summary = chain.run(
            options.input,
            options.output,
            **settings(options, "format", "limit", "model", "seed", "window"),
            overwrite=options.overwrite,
            progress=progress.say,
            on_row=progress.row,
        )
    finally:
        progress.end()
    usage = summary.usage
    print(
        f"{summary.rows:,} rows, {summary.failed:,} failed, {usage.calls:,} calls, "
        f"{usage.prompt_tokens:,} prompt tokens ({usage.cached_tokens:,} cached), "
        f"{usage.output_tokens:,} output tokens, {summary.seconds:.1f} s\n"
        f"results: {summary.folder / 'flattened'}",
        file=sys.stderr,
    )
    if summary.events:
        told = ", ".join(f"{count:,} {kind}" for kind, count in sorted(summary.events.items()))
        print(f"events: {told}; see {summary.folder / 'events.jsonl'}", file=sys.stderr)
    if summary.failed:
        print(f"failures: {summary.folder / 'errors.jsonl'}", file=sys.stderr)
    return int(summary.failed > 0)


@define
class Progress:
    """One line that changes on a terminal, a line now and then elsewhere."""

    terminal: bool
    started: float | None = None
    rows: int = 0
    failed: int = 0
    usage: Usage = field(factory=Usage)
    shown: float = 0.0

    def say(self, what: str) -> None:
        """Tell of something that happens before the first row."""
        print(what, file=sys.stderr)

    def row(self, outcome: Outcome) -> None:
        """Count a row that is done, and show it if it is time to."""
        now = time.monotonic()
        if self.started is None:
            self.started = self.shown = now
        self.rows += 1
        self.failed += outcome.failure is not None
        self.usage += outcome.usage
        if now - self.shown >= (_REDRAW if self.terminal else _EVERY):
            self.shown = now
            self.show(now)

    def show(self, now: float) -> None:
        """Write rows, rows a second, tokens a second and failures."""
        seconds = max(now - (self.started or now), 1e-9)
        tokens = self.usage.prompt_tokens + self.usage.output_tokens
        line = (
            f"{self.rows:,} rows  {self.rows / seconds:,.1f} rows/s  "
            f"{tokens / seconds:,.0f} tokens/s  {self.failed:,} failed"
        )
        if self.terminal:
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr)

    def end(self) -> None:
        """Leave the line, so that what follows stands on its own."""
        if self.terminal and self.rows:
            print(f"\r{self.rows:,} rows done\x1b[K", file=sys.stderr)

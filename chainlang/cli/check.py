"""``chainlang check FILE...``: print the errors and warnings of .chain files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from chainlang.analysis.program import examine
from chainlang.cli.output import counted, report
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import ChainlangError


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "check",
        help="find mistakes in .chain files",
        description="Print each error and warning of .chain files, with its position.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="write JSON to stdout")
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1, not 0, if there are only warnings"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check the files; return 2 for an error, 1 for a warning under ``--strict``, else 0."""
    found: list[Diagnostic] = []
    for path in options.files:
        found += _check(path)
    report(found, as_json=options.json)
    errors = sum(one.severity == "error" for one in found)
    if not options.json:
        counts = (
            counted(len(options.files), "file"),
            counted(errors, "error"),
            counted(len(found) - errors, "warning"),
        )
        print("{}: {}, {}".format(*counts), file=sys.stderr)
    return 2 if errors else int(options.strict and bool(found))


def _check(path: Path) -> tuple[Diagnostic, ...]:
    try:
        return examine(path)[1]
    except ChainlangError as error:
        return error.diagnostics

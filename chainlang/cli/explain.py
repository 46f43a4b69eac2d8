"""``chainlang explain EXPR|FILE``: show what will be done, and what it will cost."""

from __future__ import annotations

import argparse
from typing import Any

from chainlang.cli.output import report
from chainlang.cli.read_chain import MEMORY, add_passes, read_chain, settings


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explain",
        help="show what will be done for a chain, and what it will cost",
        description="Show what each pass of the optimizer does to a chain, the plan, and the cost.",
    )
    parser.add_argument("chain", metavar="EXPR|FILE", help="a notation, or a file ending in .chain")
    parser.add_argument("-i", "--input", help="a file of rows to count")
    parser.add_argument("--limit", help="how many rows to take at most")
    parser.add_argument(
        "--analyze", action="store_true", help="run the rows, and show what it came to beside that"
    )
    parser.add_argument("--model", help="the model of every stage that names none (default: tiny)")
    parser.add_argument("--memory", help=MEMORY)
    add_passes(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Explain a chain; 2 if it is none."""
    chain, warned = read_chain(options.chain)
    report(warned)  # to stderr: stdout is for the page
    given: Any = settings(options, "limit", "memory", "model", "outputs", "passes")
    print(chain.explain(options.input, analyze=options.analyze, **given))
    return 0

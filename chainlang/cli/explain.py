"""``chainlang explain EXPR|FILE``: show the plan of a chain, and its cost."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainlang.cli.flags import (
    Command,
    add_allow,
    add_chain,
    add_flags,
    add_functions,
    examples,
    given,
)
from chainlang.cli.output import emit, report
from chainlang.cli.read_chain import read_chain

if TYPE_CHECKING:
    from chainlang.session.explain import Explanation


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "explain",
        help=about,
        description="Show the plan of a chain, what each optimizer pass changed, and the cost.",
        usage="%(prog)s EXPR|FILE [options]",
        epilog=examples(
            "chainlang explain '9:E >> M' --outputs answer",
            "chainlang explain qa.chain -i rows.csv",
        ),
    )
    add_chain(parser)
    parser.add_argument(
        "-i",
        "--input",
        type=Path,
        nargs="+",
        metavar="ROWS",
        help="files or folders of rows to estimate the cost of: .jsonl, .csv, .tsv or .parquet",
    )
    parser.add_argument("--json", action="store_true", help="print passes, plan and cost as JSON")
    add_functions(parser)
    add_allow(parser)
    parser.complete = _complete
    parser.set_defaults(run=run, prints=True)


def _complete(parser: Command) -> None:
    from chainlang.settings import ExplainSettings

    add_flags(parser, ExplainSettings)


def run(options: argparse.Namespace) -> int:
    """Print the plan and the cost of a chain."""
    from chainlang.settings import ExplainSettings

    chain, warned = read_chain(options.chain, options.functions, options.allow)
    report(warned)  # to stderr: stdout is for the plan
    several = options.input or [None]
    rows = several if len(several) > 1 else several[0]
    settings: Any = {"progress": True, **given(options, ExplainSettings)}
    found = chain.explain(rows, **settings)
    emit(json.dumps(_plain(found), indent=2) if options.json else str(found))
    return 0


def _plain(found: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON values; a range of costs has its least and most."""
    from attrs import asdict

    from chainlang.plan.render import render

    return {
        "chain": found.chain,
        "passes": [
            {
                "name": one.name,
                "changed": one.fired,
                "lossy": one.lossy,
                "refused": [{"what": it.what, "why": it.why} for it in one.refused],
            }
            for one in found.compiled.applied
        ],
        "plan": render(found.compiled.plan),
        "cost_of_a_row": {name: asdict(one) for name, one in found.cost.models.items()},
        "window": found.window,
    }

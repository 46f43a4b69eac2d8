"""``chainlang compare A B``: two chains over the same rows, or two runs that have scores."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainlang.cli.evaluate import (
    add_rows,
    add_scoring,
    given_by_hand,
    given_for,
    refuse_unused,
    rows_in,
    scoring_of,
)
from chainlang.cli.flags import Command, add_allow, add_flags, add_functions, examples
from chainlang.cli.output import emit, report
from chainlang.cli.read_chain import read_chain
from chainlang.errors import error_of

if TYPE_CHECKING:
    from chainlang.evaluation.comparison import Comparison


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "compare",
        help=about,
        description="Compare two chains over the same rows, pair by pair, or two runs that `eval` "
        "has scored: how many rows the second won and lost, the difference with its interval of "
        "95 %, and the p-value of McNemar's exact test.",
        usage="%(prog)s EXPR|FILE EXPR|FILE -i ROWS --target COLUMN [options]\n"
        "       %(prog)s RUN RUN [options]",
        epilog=examples(
            "chainlang compare E '9:E >> M' -i test.csv --target sum --metric number",
            "chainlang compare a.chain b.chain -i rows.csv --target gold --metric text",
            "chainlang compare a.chain b.chain -i rows.csv --target gold -o runs/ab",
            "chainlang compare runs/ab/first runs/ab/second --margin 0.02",
        ),
    )
    for name in ("first", "second"):
        parser.add_argument(
            name, metavar="EXPR|FILE|RUN", help="a chain, or the folder of a run with scores"
        )
    add_rows(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="folder of both runs, first and second, kept and resumed",
    )
    add_scoring(parser)
    parser.add_argument(
        "--margin",
        type=float,
        metavar="SHARE",
        help="exit with 1 unless the second is shown to be at most so much worse, such as 0.02",
    )
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    add_functions(parser)
    add_allow(parser)
    parser.complete = _complete
    parser.set_defaults(run=run, prints=True)


def _complete(parser: Command) -> None:
    from chainlang.settings import RunSettings

    add_flags(parser, RunSettings, without=("on_error",))


def run(options: argparse.Namespace) -> int:
    """Print the comparison; return 1 if the second may be worse by more than --margin."""
    from chainlang.evaluation import compare

    if options.input is None:
        _check_unused(options)
        first, second = map(_run_folder, (options.first, options.second))
        found = compare(first, second)
    else:
        sides: list[Any] = []
        for text in (options.first, options.second):
            chain, warned = read_chain(text, options.functions, options.allow)
            report(warned)
            sides.append(chain)
        settings: Any = {"progress": True, **given_for(options)}
        first, second = sides
        scoring = {**scoring_of(options), "out": options.output}
        found = compare(first, second, rows_in(options), **scoring, **settings)
    emit(json.dumps(_plain(found), indent=2, ensure_ascii=False) if options.json else str(found))
    margin = options.margin
    return int(margin is not None and found.interval[0] < -margin)


def _run_folder(text: str) -> Path:
    """Return the path of a run. Raises `SourceError` for a chain, which needs rows."""
    if Path(text).is_file() or set(text) & set(":>&|*("):
        hint = "name them: -i ROWS; two runs that eval has scored need none"
        raise error_of("file", f"no rows to run the chain {text} over", hint)
    return Path(text)


def _check_unused(options: argparse.Namespace) -> None:
    """Refuse flags of scoring, which runs that have their scores don't need."""
    defaults = {"target": "answer", "metric": "exact", "answer": "answer"}
    for name in ("target", "metric", "answer", "group", "cluster"):
        if getattr(options, name) != defaults.get(name):
            message = f"--{name} has no effect: both runs have their scores"
            raise error_of("setting", message, "score the runs with chainlang eval")
    refuse_unused(options, given_by_hand(options), "nothing is run")


def _plain(found: Comparison) -> dict[str, Any]:
    """Return a comparison as JSON values."""
    return {
        "rows": found.rows,
        "first": {"accuracy": found.first.accuracy, "interval": found.first.interval},
        "second": {"accuracy": found.second.accuracy, "interval": found.second.interval},
        "won": found.won,
        "lost": found.lost,
        "difference": found.difference,
        "interval": found.interval,
        "p_value": found.p_value,
        "smallest_difference": found.smallest,
        "differing": found.to_dicts(),
    }

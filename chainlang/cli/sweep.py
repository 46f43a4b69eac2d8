"""``chainlang sweep FAMILY -i rows``: every chain of a family over the same rows."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from chainlang.cli.evaluate import add_rows, add_scoring, given_for, rows_in, scoring_of
from chainlang.cli.flags import Command, add_allow, add_flags, add_functions, examples
from chainlang.cli.output import emit, say
from chainlang.cli.read_chain import read_chain
from chainlang.errors import error_of


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "sweep",
        help=about,
        description="Evaluate every chain of a family over the same rows. A family is a chain with "
        "sets in braces: of counts, models, temperatures, options or parts. A sample that several "
        "chains draw at the same place is drawn once.",
        usage="%(prog)s FAMILY -i ROWS --target COLUMN [options]",
        epilog=examples(
            "chainlang sweep '{1,3,5,9}:E:tiny:0.7 >> M' -i test.csv --target sum --metric number",
            "chainlang sweep '{1,3}:E:{a,b} >> {M, J:b}' -i rows.jsonl --target gold -o runs/s",
            "chainlang sweep '{1,3}:ask:m:0.7 >> M' --with qa.chain -i rows.jsonl --plot s.svg",
        ),
    )
    parser.add_argument("family", metavar="FAMILY", help="a chain in quotes, with sets in braces")
    parser.add_argument(
        "--with",
        dest="beside",
        metavar="FILE",
        help="file ending in .chain whose ops, types and models the family uses",
    )
    add_rows(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FOLDER", help="folder of the runs, kept and resumed"
    )
    add_scoring(parser)
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw accuracy by tokens into a .svg or .png file"
    )
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    add_functions(parser)
    add_allow(parser)
    parser.complete = _complete
    parser.set_defaults(run=run, prints=True)


def text_of_family(text: str) -> str:
    """Return a family as text. Raises `SourceError` for the name of a file."""
    if text.endswith(".chain"):
        hint = f"write it in quotes; what it uses of a file: '{{1,3}}:ask' --with {text}"
        raise error_of("file", f"a family is a text, and {text} is the name of a file", hint)
    return text


def _complete(parser: Command) -> None:
    from chainlang.settings import RunSettings

    add_flags(parser, RunSettings, without=("on_error",))


def run(options: argparse.Namespace) -> int:
    """Print a line for each chain of the family."""
    from chainlang.evaluation import family, sweep

    if options.input is None:
        raise error_of("file", "no rows to run the chains over", "name them: -i ROWS")
    beside = None
    if options.beside is not None:
        beside = read_chain(options.beside, options.functions, options.allow)[0]
    made = family(text_of_family(options.family), beside)
    settings: Any = {"progress": True, **given_for(options)}
    found = sweep(made, rows_in(options), **scoring_of(options), out=options.output, **settings)
    emit(json.dumps(found.to_dicts(), indent=2, ensure_ascii=False) if options.json else str(found))
    if options.plot is not None:
        found.plot().figure.savefig(options.plot)
        say(f"plot: {options.plot}")
    return 0

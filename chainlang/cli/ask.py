"""``chainlang ask EXPR|FILE QUESTION``: run a chain on one question and print its answer."""

from __future__ import annotations

import argparse
import json
from typing import Any

from chainlang.cli.answers import leaves, plain_of, text_of
from chainlang.cli.flags import (
    Command,
    add_allow,
    add_chain,
    add_flags,
    add_functions,
    examples,
    given,
)
from chainlang.cli.output import emit, report, say
from chainlang.cli.read_chain import read_chain
from chainlang.cli.row_fields import row_of
from chainlang.errors import RowError


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "ask",
        help=about,
        description="Run a chain on one question, and print its answer.",
        usage="%(prog)s EXPR|FILE QUESTION|NAME=VALUE... [options]",
        epilog=examples(
            "chainlang ask '9:E >> M' 'What is 17 + 25?'",
            "chainlang ask examples/reviews.chain text=@review.txt",
            "echo 'What is 2 + 2?' | chainlang ask 3:E -",
            "chainlang ask E 'Why?' --model tiny --json",
        ),
    )
    add_chain(parser)
    parser.add_argument(
        "question",
        nargs="+",
        metavar="QUESTION",
        help="the query; or fields of the row, name=value or name=@file; or a JSON object; "
        "@file and - (stdin) hold one of these",
    )
    parser.add_argument("--json", action="store_true", help="print the whole result as JSON")
    add_functions(parser)
    add_allow(parser)
    parser.add_argument(
        "--raw", action="store_true", help="print the answer as it is on a terminal, too"
    )
    parser.complete = _complete
    parser.set_defaults(run=run, prints=True)


def _complete(parser: Command) -> None:
    """Add the settings of a call, without those of the output and of failed rows."""
    from chainlang.settings import CallSettings

    add_flags(parser, CallSettings, without=("on_error", "outputs"))


def run(options: argparse.Namespace) -> int:
    """Print the answer; return 1 if the row failed."""
    chain, warned = read_chain(options.chain, options.functions, options.allow)
    if not options.json:
        report(warned)
    row = row_of(options.question, chain)
    from chainlang.settings import CallSettings

    try:
        result = chain(
            row,
            **given(options, CallSettings),
            on_error="collect",
            progress=say,
        )
        if options.json and (result.ok or result.branches):
            emit(json.dumps(plain_of(result), indent=2))
            return int(not result.ok)
        if not result.branches:
            emit(text_of(result.answer), raw=options.raw)
            return 0
    except RowError as error:
        report(error.diagnostics, as_json=options.json)
        return 1
    for name, branch in leaves(result):
        if branch.failure is None:
            emit(f"{name}: {text_of(branch.answer)}", raw=options.raw)
        else:
            report(branch.failure.error().diagnostics)
    return int(not result.ok)

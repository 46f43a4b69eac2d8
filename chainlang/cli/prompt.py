"""``chainlang prompt EXPR|FILE QUESTION``: print the prompts that a question makes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainlang.cli.flags import add_allow, add_chain, add_functions, examples
from chainlang.cli.output import emit, report
from chainlang.cli.read_chain import read_chain
from chainlang.cli.row_fields import row_of
from chainlang.errors import error_of
from chainlang.semantics.row_failure import RowFailure

if TYPE_CHECKING:
    from chainlang.analysis.program import Program
    from chainlang.semantics.record import Record
    from chainlang.session.first_prompts import FirstPrompt


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "prompt",
        help=about,
        description="Print the messages of the first request that a question makes, and no model "
        "is loaded. With --all print those of all stages; a reply that they read is marked.",
        usage="%(prog)s EXPR|FILE QUESTION|NAME=VALUE... [options]\n"
        "       %(prog)s EXPR|FILE -i ROWS [options]",
        epilog=examples(
            "chainlang prompt 3:E 'What is 17 + 25?'",
            "chainlang prompt '3:E >> J' 'What is 17 + 25?' --all",
            "chainlang prompt qa.chain -i rows.jsonl --all --tokens",
        ),
    )
    add_chain(parser)
    parser.add_argument("question", nargs="*", metavar="QUESTION", help="as in `chainlang ask`")
    parser.add_argument(
        "-i", "--input", type=Path, metavar="ROWS", help="the first row of a file instead"
    )
    parser.add_argument("--all", action="store_true", help="also those of later stages")
    parser.add_argument(
        "--tokens", action="store_true", help="count their tokens, with the tokenizer of the model"
    )
    parser.add_argument("--json", action="store_true", help="print the prompts as JSON")
    add_functions(parser)
    add_allow(parser)
    parser.set_defaults(run=run, prints=True)


def run(options: argparse.Namespace) -> int:
    """Print the prompts."""
    if bool(options.question) == (options.input is not None):
        hint = "chainlang prompt EXPR 'question', or chainlang prompt EXPR -i ROWS"
        raise error_of("argument", "a prompt needs a question or a file of rows", hint)
    from chainlang.data import Extent
    from chainlang.session.rows import rows_of, start_of
    from chainlang.settings import MapSettings

    chain, warned = read_chain(options.chain, options.functions, options.allow)
    report(warned)
    program = chain.program()
    if options.input is None:
        start = start_of(row_of(options.question, chain), program)
    else:
        rows = rows_of(options.input, program, MapSettings.of({"limit": 1}), Extent())
        if (found_row := next(rows, None)) is None:
            raise error_of("file", f"{options.input} has no rows")
        start = found_row
    found = prompts_of(program, start, {}, tokens=options.tokens)
    asked = found if options.all else found[:1]
    if options.json:
        emit(json.dumps([one.to_dict() for one in asked], indent=2))
    else:
        emit("\n\n".join(one.page() for one in asked))
    return 0


def prompts_of(
    program: Program,
    start: Record | RowFailure,
    settings: Mapping[str, Any],
    *,
    tokens: bool = False,
) -> tuple[FirstPrompt, ...]:
    """Return the prompts of a row, each stage once, with marks in place of replies.

    Raises `RowError` for a row that is invalid, or that makes none.
    """
    from chainlang.optimizer.compile import planned
    from chainlang.session.decide import exemplified
    from chainlang.session.engine_pool import readers_of, wanted
    from chainlang.session.first_prompts import first_prompts
    from chainlang.session.named_models import with_models
    from chainlang.settings import CallSettings

    if isinstance(start, RowFailure):
        raise start.error()
    known = CallSettings.of(settings)
    program = with_models(exemplified(program), known)
    plan = planned(program, known).plan
    readers = readers_of(wanted(plan, program.items, known), known) if tokens else {}
    found = first_prompts(plan, start, readers)
    if not found:
        raise error_of("row", "this chain asks no model for that question")
    return found

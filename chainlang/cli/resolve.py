"""``chainlang resolve FILE``: print a chain with the values that a model decides for it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

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


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "resolve",
        help=about,
        description="Ask a model for the values of auto(...), and print the chain with them.",
        usage="%(prog)s EXPR|FILE [options]",
        epilog=examples(
            "chainlang resolve report.chain > decided.chain",
            "chainlang resolve report.yaml > decided.yaml",
            "chainlang resolve report.chain --auto-model big --seed 7",
        ),
    )
    add_chain(parser)
    parser.add_argument("--json", action="store_true", help="write errors as JSON to stdout")
    add_functions(parser)
    add_allow(parser)
    parser.complete = _complete
    parser.set_defaults(run=run, prints=True)


def _complete(parser: Command) -> None:
    from chainlang.settings import MapSettings

    add_flags(parser, MapSettings)


def run(options: argparse.Namespace) -> int:
    """Print the chain with its values."""
    from chainlang.session.decide import decided, decided_text, is_open
    from chainlang.session.named_models import with_models
    from chainlang.settings import MapSettings

    found, warned = read_chain(options.chain, options.functions, options.allow)
    report(warned)  # to stderr: stdout is for the chain
    settings = MapSettings.of(given(options, MapSettings))
    program = found.program()
    is_steps = options.chain.endswith((".yaml", ".yml"))
    if is_steps and is_open(program):
        emit(decided_text(program, settings, with_models).rstrip("\n"))
    elif is_steps:
        emit(Path(options.chain).read_text(encoding="utf-8").rstrip("\n"))
    else:
        made = found.of_program(decided(program, settings, with_models)[0])
        emit(str(made).rstrip("\n"))
    return 0

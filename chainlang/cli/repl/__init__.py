"""``chainlang repl [FILE]``, or ``chainlang`` alone: ask chains, with models that stay loaded."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chainlang.cli.missing import missing
from chainlang.cli.output import say


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "repl",
        help=about,
        description="Ask chains line by line. Models stay loaded between questions. In a pipe, run "
        "the lines of stdin.",
    )
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help=".chain file to load")
    parser.set_defaults(run=run)


def is_interactive() -> bool:
    """Return whether stdin and stdout are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def run(options: argparse.Namespace) -> int:
    """Run lines until the input ends; return 1 if one of a pipe has failed."""
    from chainlang.cli.repl.lines import run_lines
    from chainlang.cli.repl.session import Session, interruptible

    session = Session()
    if options.file is not None:
        session.load(options.file)
    if not is_interactive():
        return int(not run_lines(session, sys.stdin))
    with missing("prompt_toolkit", "repl"):
        from chainlang.cli.repl.terminal import converse
    with interruptible():
        converse(session)
    return 0


def run_alone(help_text: str) -> int:
    """Run the REPL where there is a terminal and the library; else show the help and say why."""
    if is_interactive() and find_spec("prompt_toolkit"):
        return run(argparse.Namespace(file=None))
    say(help_text)
    if is_interactive():
        say("to ask chains line by line, run: pip install 'chainlang[repl]'")
    else:
        say("in a terminal, chainlang alone asks chains line by line")
    return 2

"""``chainlang completion bash|zsh|fish``: print a completion script."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from chainlang.cli.flags import Command, examples
from chainlang.cli.missing import missing
from chainlang.cli.output import emit

SHELLS = ("bash", "zsh", "fish")


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "completion",
        help=about,
        description="Print a script that completes commands, flags and files.",
        usage="%(prog)s SHELL",
        epilog=examples(
            "chainlang completion bash > ~/.local/share/bash-completion/completions/chainlang",
            "chainlang completion zsh > ~/.zfunc/_chainlang",
            "chainlang completion fish > ~/.config/fish/completions/chainlang.fish",
        ),
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=run, prints=True)


def run(options: argparse.Namespace) -> int:
    """Print the script of a shell."""
    with missing("shtab", "shell"):
        import shtab

    parser = options.whole()
    for one in _parsers(parser):
        if isinstance(one, Command):
            one.fill()
        for action in one._actions:
            if action.type is Path or action.metavar in ("FILE", "EXPR|FILE", "FOLDER", "ROWS"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
    emit(shtab.complete(parser, options.shell))
    return 0


def _parsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """Return a parser, and those of its commands."""
    found = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in action.choices.values():
                found += _parsers(one)
    return found

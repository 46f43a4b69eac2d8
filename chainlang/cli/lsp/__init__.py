"""``chainlang lsp``: the language server, over stdin and stdout."""

from __future__ import annotations

import argparse
from typing import Any

from chainlang.cli.missing import missing


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "lsp",
        help=about,
        description="Run the language server over stdin and stdout. An editor starts it: it shows "
        "mistakes as you type, completes, describes, renames and formats.",
    )
    parser.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Serve until the editor ends it."""
    with missing("pygls", "lsp"):
        from chainlang.cli.lsp.server import server
    server().start_io()
    return 0

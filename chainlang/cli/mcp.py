"""``chainlang mcp approve FILE``: look at the tools that a chain calls, and approve them."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from chainlang.cli.flags import add_allow, examples
from chainlang.cli.output import emit
from chainlang.cli.read_chain import read_chain
from chainlang.errors import error_of

APPROVE = "approve"


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "mcp",
        help=about,
        description="Approve the tools of the servers that a chain calls: each server is started "
        "or reached, what is new or has changed is shown, and chainlang.mcp.lock beside the chain "
        "keeps what was approved.",
        usage="%(prog)s approve FILE [options]",
        epilog=examples("chainlang mcp approve notes.chain"),
    )
    parser.add_argument("words", nargs="+", metavar="approve FILE", help="the chain to approve")
    parser.add_argument("--yes", action="store_true", help="approve without a question")
    add_allow(parser)
    parser.set_defaults(run=run, prints=True)


def run(options: argparse.Namespace) -> int:
    """Show what has changed, and approve it; return 1 if it is not approved."""
    first, *rest = options.words
    if first != APPROVE or len(rest) != 1:
        message = f"mcp takes approve and a file, found: {' '.join(options.words)}"
        raise error_of("setting", message, "write: chainlang mcp approve FILE")
    return _approve(rest[0], options)


def _approve(path: str, options: argparse.Namespace) -> int:
    from chainlang.ir.tools import servers
    from chainlang.models.approval import approve, changes
    from chainlang.settings import CallSettings

    chain, _ = read_chain(path, allow=options.allow)
    if not servers(chain.items):
        emit(f"{path} declares no server of tools")
        return 0
    found = list(changes(chain.items, CallSettings.of({})))
    if not found:
        emit("all tools are as they were approved")
        return 0
    for one in found:
        emit("\n".join(one.differences))
    if not (options.yes or _agreed()):
        emit("nothing was approved")
        return 1
    for one in found:
        approve(one)
        emit(f"approved {len(one.now.tools)} tools of {one.name} in {one.lock}")
    return 0


def _agreed() -> bool:
    """Ask on the terminal; without one there is no agreement."""
    if not sys.stdin.isatty():
        emit("to approve without a terminal, add --yes")
        return False
    return input("approve these tools? [y/N] ").strip().lower() in ("y", "yes")

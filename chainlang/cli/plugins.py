"""``chainlang plugins``: list the plugins that are installed, and those that can't be imported."""

from __future__ import annotations

import argparse
import json
from typing import Any

from chainlang.cli.flags import examples
from chainlang.cli.output import emit


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "plugins",
        help=about,
        description="List the engines, readers of rows, metrics, ops and actions that installed "
        "packages add. Each is imported.",
        usage="%(prog)s [options]",
        epilog=examples("chainlang plugins", "chainlang plugins --json"),
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.set_defaults(run=run, prints=True)


def run(options: argparse.Namespace) -> int:
    """Print the plugins; return 1 if one can't be imported."""
    from chainlang.plugins import plugins

    found = list(plugins())
    if options.json:
        names = ("group", "name", "package", "version", "fault")
        emit(json.dumps([{it: getattr(one, it) for it in names} for one in found], indent=2))
    else:
        for one in found:
            state = "ok     " if one.fault is None else "broken "
            emit(f"{state} {one.group}  {one.name}  {one.origin}")
            if one.fault is not None:
                emit(f"        {one.fault}")
        if not found:
            emit("no plugins are installed")
    return int(any(one.fault is not None for one in found))

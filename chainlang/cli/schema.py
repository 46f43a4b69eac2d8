"""``chainlang schema``: print the JSON schema of YAML files of steps, for editors."""

from __future__ import annotations

import argparse
import json
from typing import Any

from chainlang.cli.flags import examples
from chainlang.cli.output import emit
from chainlang.pipelines.schema import json_schema


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "schema",
        help=about,
        description="Print the JSON schema of YAML files of steps, by which editors complete them.",
        usage="%(prog)s",
        epilog=examples("chainlang schema > chainlang.schema.json"),
    )
    parser.set_defaults(run=run, prints=True)


def run(_options: argparse.Namespace) -> int:
    """Print the schema."""
    emit(json.dumps(json_schema(), indent=2))
    return 0

"""``chainlang show EXPR|FILE``: what does this chain say? As notation, tree, Mermaid or JSON."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from chainlang.chain import Chain
from chainlang.cli.output import report
from chainlang.diagnostics import Diagnostic
from chainlang.errors import ChainlangWarning, raise_errors
from chainlang.ir.render import mermaid, tree
from chainlang.ops.programs import examine, main_of
from chainlang.reading import chain


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "show",
        help="show what a chain says",
        description="Show a chain as notation, Python, tree, Mermaid or JSON.",
    )
    parser.add_argument(
        "chain", metavar="EXPR|FILE", help="a notation in quotes, or a file ending in .chain"
    )
    parser.add_argument(
        "--as",
        dest="form",
        choices=("notation", "python", "tree", "mermaid", "json"),
        default="tree",
        help="how to show it (default: tree)",
    )
    parser.add_argument("--json", action="store_true", help="write errors as JSON to stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show a chain; 2 if it is none."""
    found, warned = _read(options.chain)
    report(warned)  # to stderr: stdout is for the chain
    whole = found.file if found.items else found.body
    match options.form:
        case "tree":
            print(tree(whole))
        case "mermaid":
            print(mermaid(whole))
        case "json":
            print(found.to_json())
        case "python":
            print(repr(found))
        case _:
            print(str(found).rstrip("\n"))
    return 0


def _read(text: str) -> tuple[Chain, list[Diagnostic]]:
    """Return the chain of a file or a notation, with its warnings."""
    if text.endswith(".chain"):
        file, found = examine(Path(text))
        raise_errors(found)
        return Chain(*main_of(file)), list(found)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ChainlangWarning)
        made = chain(text)
    return made, [
        found
        for warning in caught
        if isinstance(warning.message, ChainlangWarning)
        for found in warning.message.diagnostics
    ]

"""``chainlang show EXPR|FILE``: print a chain as notation, Python, tree, Mermaid or JSON."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from chainlang.cli.flags import add_chain, add_functions, examples
from chainlang.cli.output import emit, report
from chainlang.cli.read_chain import read_chain
from chainlang.ir.model_settings import PERMISSIONS
from chainlang.ir.render import mermaid, tree
from chainlang.notation.format import format_text
from chainlang.notation.unparse import unparse_file
from chainlang.pipelines.load import is_steps


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "show",
        help=about,
        description="Print a chain as a tree, notation, Python, Mermaid or JSON.",
        usage="%(prog)s EXPR|FILE [options]",
        epilog=examples(
            "chainlang show '3:E >> J'",
            "chainlang show qa.chain --as python",
        ),
    )
    add_chain(parser)
    add_functions(parser)
    parser.add_argument(
        "--as",
        dest="form",
        choices=("notation", "python", "tree", "mermaid", "json"),
        default="tree",
        help="format (default: tree)",
    )
    parser.add_argument("--json", action="store_true", help="write errors as JSON to stdout")
    parser.set_defaults(run=run, prints=True)


def run(options: argparse.Namespace) -> int:
    """Print the chain."""
    found, warned = read_chain(options.chain, options.functions, PERMISSIONS)
    report(warned)  # to stderr: stdout is for the chain
    whole = found.file if found.items else found.body
    match options.form:
        case "tree":
            emit(tree(whole))
        case "mermaid":
            emit(mermaid(whole))
        case "json":
            emit(found.to_json())
        case "python":
            emit(repr(found))
        case _:
            is_file = is_steps(Path(options.chain))  # what is printed may be written into a file
            text = format_text(unparse_file(found.file)) if is_file else str(found)
            emit(text.rstrip("\n"))
    return 0

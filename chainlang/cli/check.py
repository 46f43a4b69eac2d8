"""``chainlang check FILE...``: print the errors and warnings of .chain files."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path
from typing import Any

from chainlang.analysis.program import examine, main_of
from chainlang.api.chain import Chain
from chainlang.api.steps import read_steps
from chainlang.cli.flags import add_allow, add_functions, examples
from chainlang.cli.output import counted, report, say
from chainlang.cli.read_chain import STDIN, bind_file, stdin_text, there
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import ChainlangError
from chainlang.notation.parse import read_items, source
from chainlang.pipelines.load import is_steps
from chainlang.semantics.functions_file import FunctionsFile, read_functions


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "check",
        help=about,
        description="Print each error and warning of .chain and YAML files, with its position.",
        usage="%(prog)s FILE... [options]",
        epilog=examples(
            "chainlang check qa.chain",
            "chainlang check --strict *.chain",
            "chainlang check - < qa.chain",
        ),
    )
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="a file, or - for stdin"
    )
    parser.add_argument("--json", action="store_true", help="write JSON to stdout")
    parser.add_argument(
        "--strict", action="store_true", help="exit with 1, not 0, if there are only warnings"
    )
    add_functions(parser)
    add_allow(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Check the files; return 2 for an error, 1 for a warning under ``--strict``, else 0."""
    found: list[Diagnostic] = []
    functions = None
    try:
        if options.functions is not None:
            functions = read_functions(options.functions)
    except ChainlangError as error:
        found += error.diagnostics
    for path in options.files:
        found += _check(path, functions, options.allow)
    report(found, as_json=options.json)
    errors = sum(one.severity == "error" for one in found)
    if not options.json:
        counts = (
            counted(len(options.files), "file"),
            counted(errors, "error"),
            counted(len(found) - errors, "warning"),
        )
        say("{}: {}, {}".format(*counts))
    return 2 if errors else int(options.strict and bool(found))


def _check(
    path: Path, functions: FunctionsFile | None, allow: Collection[str]
) -> tuple[Diagnostic, ...]:
    found: tuple[Diagnostic, ...] = ()
    if is_steps(path):
        return _check_steps(path, functions, allow)
    try:
        stdin = path == Path("-")
        file, found = examine(
            read_items(source(stdin_text(), STDIN)) if stdin else there(path), allow
        )
        if functions is not None and not any(one.severity == "error" for one in found):
            bind_file(Chain(*main_of(file)), functions)
    except ChainlangError as error:
        return (*found, *error.diagnostics)
    return found


def _check_steps(
    path: Path, functions: FunctionsFile | None, allow: Collection[str]
) -> tuple[Diagnostic, ...]:
    try:
        public = {} if functions is None else functions.public
        return read_steps(there(path), public, allow=allow)[1]
    except ChainlangError as error:
        return error.diagnostics

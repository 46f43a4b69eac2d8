"""``chainlang new NAME``: write the folder of a new project."""

from __future__ import annotations

import argparse
from importlib import resources
from pathlib import Path
from typing import Any

from chainlang.cli.flags import examples
from chainlang.cli.output import emit, say
from chainlang.errors import error_of
from chainlang.store.io_errors import FULL

TEMPLATES = {
    "vote": "five samples and a vote, on the model in the package",
    "classify": "a typed reply and a vote, on a fake engine",
}


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "new",
        help=about,
        description="Write a folder with a chain, rows, a test and a README that says what to run.",
        usage="%(prog)s NAME [options]",
        epilog=examples("chainlang new sums", "chainlang new reviews --template classify"),
    )
    parser.add_argument("folder", type=Path, metavar="NAME", help="folder, which must not be there")
    listed = "; ".join(f"{name}: {what}" for name, what in TEMPLATES.items())
    parser.add_argument(
        "--template", choices=[*TEMPLATES], default="vote", help=f"{listed} (default: vote)"
    )
    parser.set_defaults(run=run, prints=True)


def run(options: argparse.Namespace) -> int:
    """Write the folder."""
    folder: Path = options.folder
    if folder.exists():
        raise error_of("file", f"{folder} is there already", "choose another name")
    template = resources.files("chainlang") / "cli" / "templates" / options.template
    try:
        folder.mkdir(parents=True)
        for one in sorted(template.iterdir(), key=lambda file: file.name):
            name = one.name.removesuffix(".txt")
            text = one.read_text(encoding="utf-8").replace("# NAME", f"# {folder.name}")
            (folder / name).write_text(text, encoding="utf-8")
            emit(str(folder / name))
    except OSError as error:
        hint = "make room on the disk, or name another folder" if error.errno in FULL else None
        raise error_of("file", f"{folder}: {error.strerror}", hint) from error
    say(f"{folder / 'README.md'} says what to run")
    return 0

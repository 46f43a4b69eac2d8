"""``chainlang fmt FILE...``: write .chain files in the canonical form, with their comments."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from chainlang.cli.flags import examples
from chainlang.cli.output import report, say
from chainlang.cli.read_chain import there
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import ChainlangError, error_of
from chainlang.notation.files import read_source
from chainlang.notation.format import format_text
from chainlang.notation.parse import source
from chainlang.pipelines.format import format_steps
from chainlang.pipelines.load import is_steps


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "fmt",
        help=about,
        description="Write .chain files in the canonical form, in place, with their comments. "
        "Of YAML files, <AUTO> texts are quoted.",
        usage="%(prog)s FILE... [options]",
        epilog=examples(
            "chainlang fmt qa.chain",
            "chainlang fmt --check *.chain",
            "chainlang fmt - < qa.chain",
        ),
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="a file, or - to format stdin to stdout"
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if a file would change"
    )
    parser.add_argument("--json", action="store_true", help="write errors as JSON to stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Format the files; return 2 for an error, 1 if a file would change under ``--check``."""
    found: list[Diagnostic] = []
    changed = 0
    for name in options.files:
        try:
            changed += _format(name, write=not options.check)
        except ChainlangError as error:
            found += error.diagnostics
    report(found, as_json=options.json)
    if found:
        return 2
    return int(options.check and changed > 0)


def _format(name: str, *, write: bool) -> bool:
    """Format one file; return whether its text changes."""
    if name == "-":
        return _format_stdin(write=write)
    path = Path(name)
    text = read_source(there(path))
    new = format_steps(text) if is_steps(path) else format_text(text)
    if path.read_bytes() == new.encode():
        return False
    if write:
        _replace(path, new)
    say(f"{'formatted' if write else 'would format'} {path}")
    return True


def _format_stdin(*, write: bool) -> bool:
    """Format stdin to stdout. Both are UTF-8 in any locale."""
    data = sys.stdin.buffer.read()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"<stdin>: byte 0x{data[error.start]:02x} is not UTF-8"
        raise error_of("file", message) from error
    new = format_text(source(text, "<stdin>"))
    if write:
        sys.stdout.buffer.write(new.encode())
    elif new != text:
        say("would format <stdin>")
    return new != text


def _replace(path: Path, text: str) -> None:
    """Replace a file in one step, so that a crash leaves the old text or the new one."""
    target = path.resolve()  # a link stays a link
    try:
        _write_beside(target, text)
    except OSError as error:
        message = f"{path}: can't be written: {error.strerror}"
        raise error_of("file", message) from error


def _write_beside(target: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(target.stat().st_mode & 0o7777)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

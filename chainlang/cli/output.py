"""Output of the commands: results to stdout, errors and warnings to stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import escaped, render
from chainlang.errors import SourceError


class NoOutput(SourceError):
    """Stdout is closed, or can't be written."""


def emit(text: str, *, raw: bool = False) -> None:
    """Write a result to stdout: escaped on a terminal, as it is elsewhere or with `raw`.

    Raises `NoOutput` if stdout can't be written.
    """
    shown = escaped(text) if sys.stdout.isatty() and not raw else text
    try:
        print(shown, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        give_up(sys.stdout)
        why = error.strerror or "it is closed"
        message = f"the result can't be written to stdout: {why}"
        raise NoOutput([Diagnostic("file", message)]) from error


def say(text: str) -> None:
    """Write a message to stderr, escaped on a terminal."""
    _to_stderr(escaped(text) if sys.stderr.isatty() else text)


def _to_stderr(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        raise
    except OSError:  # there is no other place to say so
        give_up(sys.stderr)


def give_up(stream: TextIO) -> None:
    """Let a stream write to nowhere: Python would flush it on exit, and print an error."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


_OF_ALL: dict[str, str] = {}
"""Fields of all lines of the log."""


def mark_log(mark: str) -> None:
    """Mark all lines of the log, by which another process knows them among other texts."""
    _OF_ALL["mark"] = mark


def log(event: str, **fields: Any) -> None:
    """Write an event with its time as a line of JSON to stderr."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "event": event, **_OF_ALL, **fields}, default=str)
    say(line)


def report(
    diagnostics: Iterable[Diagnostic],
    *,
    as_json: bool = False,
    log_format: str = "text",
    of_rows: Sequence[tuple[int, str]] = (),
) -> None:
    """Write diagnostics as text to stderr, as one JSON list to stdout, or as lines of the log.

    `log_format`: ``text``, ``json``, or ``pages`` for what another process shows: lines of JSON
    that have the text too, and of the first ones the row and the reason that `of_rows` has.
    """
    found = list(diagnostics)
    if log_format != "text":
        for number, one in enumerate(found):
            fields = one.to_dict()
            if log_format == "pages":
                fields["page"] = render([one])
                if number < len(of_rows):
                    fields["row_index"], fields["reason"] = of_rows[number]
            log(fields.pop("severity"), **fields)
    elif as_json:
        emit(json.dumps([one.to_dict() for one in found], indent=2))
    elif found:
        columns = shutil.get_terminal_size().columns if sys.stderr.isatty() else None
        text = render(found, colour=wants_colour(sys.stderr), columns=columns)
        _to_stderr(text.encode("utf-8", "replace").decode("utf-8") + "\n")


def counted(number: int, noun: str) -> str:
    """Return a number and its noun, in the plural unless the number is 1.

    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def wants_colour(stream: TextIO) -> bool:
    """Return whether to write colours: on a terminal, unless NO_COLOR or TERM=dumb forbid it."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()

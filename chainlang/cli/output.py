"""Output of the commands: results to stdout, errors and warnings to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import render


def log(event: str, **fields: Any) -> None:
    """Write an event with its time as a line of JSON to stderr."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "event": event, **fields}, default=str)
    print(line, file=sys.stderr, flush=True)


def report(
    diagnostics: Iterable[Diagnostic], *, as_json: bool = False, as_log: bool = False
) -> None:
    """Write diagnostics as text to stderr, as one JSON list to stdout, or as lines of the log."""
    found = list(diagnostics)
    if as_log:
        for one in found:
            fields = one.to_dict()
            log(fields.pop("severity"), **fields)
    elif as_json:
        print(json.dumps([one.to_dict() for one in found], indent=2))
    elif found:
        text = render(found, colour=wants_colour(sys.stderr))
        print(text.encode("utf-8", "replace").decode("utf-8"), end="\n\n", file=sys.stderr)


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

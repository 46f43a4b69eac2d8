"""Where the commands write: results to stdout, findings to stderr, in colour on a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import render


def log(event: str, **told: Any) -> None:
    """Write something that happens as a line of JSON to stderr, with the time."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "event": event, **told}, default=str)
    print(line, file=sys.stderr, flush=True)


def report(
    diagnostics: Iterable[Diagnostic], *, as_json: bool = False, as_log: bool = False
) -> None:
    """Write diagnostics: as pages for people to stderr, or as one JSON list to stdout.

    Or else as a line of the log for each.
    """
    found = list(diagnostics)
    if as_log:
        for one in found:
            told = one.to_dict()
            log(told.pop("severity"), **told)
    elif as_json:
        print(json.dumps([one.to_dict() for one in found], indent=2))
    elif found:
        text = render(found, colour=wants_colour(sys.stderr))
        print(text.encode("utf-8", "replace").decode("utf-8"), end="\n\n", file=sys.stderr)


def counted(number: int, what: str) -> str:
    """Return a number of things.

    >>> counted(1, "row"), counted(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def wants_colour(stream: TextIO) -> bool:
    """Return whether to write colours: on a terminal, unless NO_COLOR or TERM=dumb forbid it."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()

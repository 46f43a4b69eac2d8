"""Progress of a run: a line that is redrawn on a terminal, a line every 10 seconds elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from attrs import asdict, define, field, frozen

from chainlang.cli.output import log
from chainlang.diagnostics.render import escaped
from chainlang.protocol.messages import Usage

if TYPE_CHECKING:
    from chainlang.runtime.outcome import Outcome

_EVERY = 10.0  # seconds between lines where there is no terminal
_REDRAW = 0.1  # seconds between redraws on one


@frozen
class Reached:
    """Progress of a run at one moment; `str` is its line."""

    rows: int
    failed: int
    rows_per_second: float
    tokens_per_second: float
    seconds_left: float | None
    """None if the number of rows is unknown."""

    def __str__(self) -> str:
        parts = [
            f"{self.rows:,} rows" if self.rows != 1 else "1 row",
            f"{self.rows_per_second:,.1f} rows/s",
            f"{self.tokens_per_second:,.0f} tokens/s",
            f"{self.failed:,} failed",
        ]
        return "  ".join(parts if self.seconds_left is None else [*parts, _left(self.seconds_left)])


@define
class Progress:
    """Callbacks that write the progress. Rates count from the moment the models are loaded.

    >>> import sys
    >>> Progress(sys.stdout, terminal=False).say("loading tiny")
    loading tiny
    """

    stream: TextIO
    terminal: bool
    clock: Callable[[], float] = time.monotonic
    """Clock in seconds."""
    started: float = field(init=False)
    shown: float = field(init=False)
    rows: int = 0
    before: int = 0
    """Rows that were complete when this run resumed."""
    failed: int = 0
    usage: Usage = field(factory=Usage)

    def __attrs_post_init__(self) -> None:
        self.started = self.shown = self.clock()

    def say(self, message: str) -> None:
        """Write a message before the first row."""
        shown = escaped(message) if self.terminal else message
        print(shown, file=self.stream, flush=True)
        self.started = self.shown = self.clock()

    def row(self, outcome: Outcome, expected: float | None) -> None:
        """Count a finished row; write the progress if the last line is old enough."""
        if not self.rows:
            self.before = outcome.index
        self.rows += 1
        self.failed += outcome.failure is not None
        self.usage += outcome.usage
        now = self.clock()
        if now - self.shown >= (_REDRAW if self.terminal else _EVERY):
            self.shown = now
            self.show(self.reached(now, expected))

    def reached(self, now: float, expected: float | None) -> Reached:
        """Return the progress at this time."""
        seconds = max(now - self.started, 1e-9)
        tokens = self.usage.prompt_tokens + self.usage.output_tokens
        done = self.before + self.rows
        left = None if expected is None else max(expected - done, 0) * seconds / self.rows
        return Reached(done, self.failed, self.rows / seconds, tokens / seconds, left)

    def show(self, reached: Reached) -> None:
        """Write the progress."""
        line = str(reached)
        end = "" if self.terminal else "\n"
        print(f"\r{line}\x1b[K" if self.terminal else line, end=end, file=self.stream, flush=True)

    def end(self) -> None:
        """Clear the line."""
        if self.terminal and self.rows:
            print("\r\x1b[K", end="", file=self.stream, flush=True)


class LoggedProgress(Progress):
    """Progress as lines of JSON."""

    def say(self, message: str) -> None:
        """Write a message before the first row."""
        log("note", message=message)
        self.started = self.shown = self.clock()

    def show(self, reached: Reached) -> None:
        """Write the progress."""
        log("progress", **asdict(reached))

    def end(self) -> None:
        """Do nothing: there is no line to clear."""


def _left(seconds: float) -> str:
    """Return a remaining time, rounded up as an estimate.

    >>> [_left(one) for one in (0.2, 59, 61, 3600, 9000)]
    ['1 s left', '59 s left', '2 min left', '1 h 0 min left', '2 h 30 min left']
    """
    if seconds < 60:
        return f"{math.ceil(seconds)} s left"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min left" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min left"

"""Progress of a run: what it has reached, and when it is shown.

One meter counts, and one of several displays shows: a line that is redrawn on a terminal, a cell of
a notebook, a line every 10 seconds elsewhere, or a function of the user.
"""

from __future__ import annotations

import contextvars
import math
import threading
import time
from collections.abc import Callable
from typing import Protocol

from attrs import define, field

__all__ = ["Status"]

EVERY = 1.0
"""Seconds within which a display moves while anything happens."""


class Status(str):
    """The progress of a run at one moment: a line of text, with the numbers in it."""

    __slots__ = (
        "expected", "failed", "rows", "rows_per_second", "seconds", "seconds_left",
        "tokens_per_second",
    )  # fmt: skip

    rows: int
    """Completed rows, with those of the run that is resumed."""
    expected: float | None
    """Expected number of rows; None if it is unknown."""
    failed: int
    rows_per_second: float
    tokens_per_second: float
    seconds: float
    """Seconds since the models were loaded."""
    seconds_left: float | None

    @staticmethod
    def of(  # noqa: PLR0917
        rows: int,
        expected: float | None,
        failed: int,
        rows_per_second: float,
        tokens_per_second: float,
        seconds: float,
        seconds_left: float | None,
    ) -> Status:
        """Return the status with these numbers.

        >>> print(Status.of(28, 200, 1, 2.5, 310.0, 11.2, 68.8))
        28 of 200 rows  2.5 rows/s  310 tokens/s  1 failed  2 min left
        """
        parts = [
            _counted(rows, expected),
            f"{rows_per_second:,.1f} rows/s",
            f"{tokens_per_second:,.0f} tokens/s",
            f"{failed:,} failed",
            f"{seconds:,.0f} s" if seconds_left is None else f"{remaining(seconds_left)} left",
        ]
        made = Status("  ".join(parts))
        made.rows, made.expected, made.failed = rows, expected, failed
        made.rows_per_second, made.tokens_per_second = rows_per_second, tokens_per_second
        made.seconds, made.seconds_left = seconds, seconds_left
        return made

    def fitted(self, columns: int) -> str:
        """Return the line with as many of its parts as fit: those that matter most.

        >>> Status.of(28, 200, 1, 2.5, 310.0, 11.2, 68.8).fitted(40)
        '28 of 200 rows  1 failed  2 min left'
        """
        parts = self.split("  ")
        for at in (2, 1, 3, 4):
            if len("  ".join(filter(None, parts))) <= columns:
                break
            parts[at] = ""
        return "  ".join(filter(None, parts))[: max(columns, 0)]


class Display(Protocol):
    """Shows messages and progress."""

    every: float
    """Minimum seconds between two lines of progress."""

    def __call__(self, message: str) -> object:
        """Show a message before the first row, or a `Status`."""
        ...


@define(eq=False)
class Meter:
    """Counts of a run, shown by a display. Rates count from the end of the last message.

    >>> def show(message):
    ...     print(message)
    >>> meter = Meter(show, every=10.0, clock=lambda: 0.0)
    >>> meter.say("loading tiny")
    loading tiny
    """

    show: Callable[[str], object]
    every: float = EVERY
    """Minimum seconds between two lines of progress."""
    clock: Callable[[], float] = time.monotonic
    """Clock in seconds."""
    expected: Callable[[], float | None] = field(default=lambda: None)
    """Returns the expected number of rows."""
    rows: int = 0
    failed: int = 0
    tokens: int = 0
    before: int = 0
    """Rows that were complete when this run resumed."""
    moved: bool = False
    """Whether it has shown a line of progress."""
    _started: float = field(init=False)
    _shown: float = field(init=False)
    _waiting: _Waiting | None = None

    def __attrs_post_init__(self) -> None:
        self._started = self._shown = self.clock()

    def say(self, message: str) -> None:
        """Show a message before the first row, with the seconds since then until the next one."""
        self._wait_no_more()
        self.show(message)
        self._started = self._shown = self.clock()
        if getattr(self.show, "moves", False):
            self._waiting = _Waiting(self.show, message)
            self._waiting.start()

    def begin(self, before: int = 0) -> None:
        """Begin with the first row: everything is loaded."""
        self._wait_no_more()
        self.before = before
        self._started = self._shown = self.clock()

    def row(self, *, failed: bool, tokens: int = 0) -> None:
        """Count a completed row, and its tokens, unless `beat` counts them."""
        self.rows += 1
        self.failed += failed
        self.tokens += tokens
        self._tick(self.clock(), self.every)

    def beat(self, tokens: int) -> None:
        """Count the tokens so far; called each second of the run's clock, whatever completes."""
        self.tokens = tokens
        self._tick(self.clock(), 0.0 if self.every <= EVERY else self.every - EVERY / 2)

    def _tick(self, now: float, least: float) -> None:
        """Show the progress, if the last line is old enough."""
        if now - self._shown >= least:
            self._shown, self.moved = now, True
            self.show(self.status(now))

    def status(self, now: float) -> Status:
        """Return the progress at a time."""
        seconds = max(now - self._started, 1e-9)
        expected, done = self.expected(), self.before + self.rows
        left = None
        if expected is not None and self.rows:
            left = max(expected - done, 0) * seconds / self.rows
        pace = self.rows / seconds, self.tokens / seconds
        return Status.of(done, expected, self.failed, *pace, seconds, left)

    def end(self) -> None:
        """Show the end of the run: the line goes, or stands as it was last."""
        self._wait_no_more()
        end = getattr(self.show, "end", None)
        if end is not None:
            end(self.status(self.clock()))

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None


class _Waiting:
    """A thread that shows a message with its seconds, while its work blocks the caller."""

    def __init__(self, show: Callable[[str], object], message: str) -> None:
        self._show, self._message = show, message
        self._done = threading.Event()
        context = contextvars.copy_context()  # so that a notebook knows the cell
        run = lambda: context.run(self._run)  # noqa: E731
        self._thread = threading.Thread(target=run, name="chainlang progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        seconds = 0
        while not self._done.wait(EVERY):
            seconds += 1
            self._show(Waited(f"{self._message}  {seconds} s"))

    def stop(self) -> None:
        self._done.set()
        self._thread.join()


class Waited(str):
    """A message that was shown before, with the seconds that it takes."""

    __slots__ = ()


def remaining(seconds: float) -> str:
    """Return a remaining time, rounded up as an estimate.

    >>> [remaining(one) for one in (0.2, 59, 61, 3600, 9000)]
    ['1 s', '59 s', '2 min', '1 h 0 min', '2 h 30 min']
    """
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _counted(rows: int, expected: float | None) -> str:
    if expected is None:
        return f"{rows:,} row{'s' * (rows != 1)}"
    about = "" if expected == int(expected) else "about "
    return f"{rows:,} of {about}{math.ceil(expected):,} row{'s' * (math.ceil(expected) != 1)}"

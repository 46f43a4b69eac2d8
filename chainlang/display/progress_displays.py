"""Displays of progress: a terminal, a log, a cell of a notebook."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from typing import Any, TextIO

from attrs import define

from chainlang.diagnostics.render import columns, escaped
from chainlang.display.page import page, shown
from chainlang.display.progress import Status, Waited


@define(eq=False)
class TerminalLine:
    """A line that is redrawn, and never longer than the terminal is wide.

    >>> import sys
    >>> TerminalLine(sys.stdout)("loading tiny")
    loading tiny
    """

    stream: TextIO
    width: Callable[[], int] | None = None
    """Returns the number of columns; None for those of the terminal, which may change."""
    every: float = 0.1
    moves: bool = True
    _drawn: bool = False

    def __call__(self, message: str) -> None:
        """Show a message or the progress."""
        most = max((self.width() if self.width else width_of(self.stream)) - 1, 1)
        if isinstance(message, Status):
            self._draw(message.fitted(most))
        elif isinstance(message, Waited):
            self._draw(_cut(escaped(message), most))
        else:
            self.clear()
            print(escaped(message), file=self.stream, flush=True)

    def _draw(self, line: str) -> None:
        self._drawn = True
        print(f"\r{line}\x1b[K", end="", file=self.stream, flush=True)

    def clear(self) -> None:
        """Clear the line."""
        if self._drawn:
            self._drawn = False
            print("\r\x1b[K", end="", file=self.stream, flush=True)

    def end(self, _: Status) -> None:
        """Clear the line."""
        self.clear()


@define(eq=False)
class LogLines:
    """A line every 10 seconds, where there is no terminal."""

    stream: TextIO
    every: float = 10.0
    moves: bool = True
    _waited: int = 0

    def __call__(self, message: str) -> None:
        """Show a message or the progress."""
        if isinstance(message, Waited):
            self._waited += 1
            if self._waited % self.every:
                return
        else:
            self._waited = 0
        print(message, file=self.stream, flush=True)


@define(eq=False)
class NotebookCell:
    """An output of a cell, which is updated in place: a bar, and the line of progress."""

    every: float = 0.25
    moves: bool = True
    _handle: Any = None

    def __call__(self, message: str) -> None:
        """Show a message or the progress."""
        self._show(message, _share(message) if isinstance(message, Status) else None)

    def end(self, status: Status) -> None:
        """Leave the counts, if anything was shown; nothing, if no row has run."""
        if self._handle is None:
            return
        done = f"{status.failed:,} failed, {status.seconds:,.1f} s"
        rows = f"{status.rows:,} row{'s' * (status.rows != 1)}, {done}"
        self._show(rows if status.rows else "", None)

    def _show(self, line: str, share: float | None) -> None:
        from IPython.display import display

        show: Any = display
        bundle = {"text/plain": line, "text/html": _bar(line, share)}
        if self._handle is None:
            self._handle = show(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def _share(status: Status) -> float | None:
    if not status.expected:
        return None
    return min(1.0, status.rows / status.expected)


def _bar(line: str, share: float | None) -> str:
    bar = ""
    if share is not None:
        frame = "display:inline-block;width:140px;height:9px;border-radius:2px;margin-right:8px"
        back = "background:color-mix(in srgb,currentColor 15%,transparent)"
        full = f'<span class="bar" style="width:{round(140 * share)}px;vertical-align:top"></span>'
        bar = f'<span style="{frame};{back}">{full}</span>'
    return page(f"<div>{bar}{shown(line)}</div>")


def _cut(line: str, most: int) -> str:
    if columns(line) <= most:
        return line
    return line[: max(most - 1, 0)] + "…"


def width_of(stream: TextIO) -> int:
    """Return the number of columns of the terminal that a stream writes to."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):  # no terminal, or closed
        return shutil.get_terminal_size().columns


def is_notebook() -> bool:
    """Return whether the process is the kernel of a notebook, which shows what it is given."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def standard_display() -> TerminalLine | LogLines | NotebookCell | None:
    """Return the display of this process; None if it has no standard error."""
    if is_notebook():
        return NotebookCell()
    if sys.stderr is None:
        return None
    return TerminalLine(sys.stderr) if sys.stderr.isatty() else LogLines(sys.stderr)

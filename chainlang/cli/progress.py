"""Progress of a run as lines of JSON; as text, `chainlang.display` shows it."""

from __future__ import annotations

from chainlang.cli.output import log
from chainlang.display.progress import Status

_NUMBERS = (
    "rows", "expected", "failed", "rows_per_second", "tokens_per_second", "seconds_left",
)  # fmt: skip


class LoggedProgress:
    """A display of progress that writes a line of JSON for each message, and every few seconds."""

    def __init__(self, every: float = 10.0) -> None:
        self.every = every

    def __call__(self, message: str) -> None:
        """Write a message or the progress."""
        if isinstance(message, Status):
            log("progress", **{name: getattr(message, name) for name in _NUMBERS})
        else:
            log("note", message=message)

"""Failures of rows and of arms: the reason, and the stage and the sample that failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.errors import RowError
from chainlang.protocol.failures import Cause
from chainlang.semantics.events import Event
from chainlang.semantics.origin import Origin
from chainlang.semantics.seeds import Place


@frozen
class RowFailure:
    """Failure of a row, or of an arm of a branch that stays apart."""

    reason: str
    stage: str | None = None
    """Name of the failed stage; None if the row reached none."""
    place: Place = ()
    sample: int | None = None
    """Number of the failed sample; None if the stage failed as a whole."""
    text: str | None = None
    """Text of the invalid reply, if any; of a row that could not be read, what was read of it."""
    origin: Origin | None = None
    """Position of the row in its source, for messages; always there if it could not be read."""
    branch: str = ""
    """Arm that failed, with those around it: ``fr.0``; empty if the row failed as a whole."""
    cause: Cause = "input"
    transient: bool = False
    """Whether the same request may succeed later."""
    where: str | None = None
    """Line of the user's function that raised."""
    traceback: str | None = field(default=None, repr=False)
    """Python's traceback of that exception."""
    span: Span | None = field(default=None, eq=False, repr=False)
    events: tuple[Event, ...] = field(default=(), repr=False)
    """Events of the row up to the failure, in the order of the chain."""
    trace: tuple[Any, ...] = field(default=(), eq=False, repr=False)
    """Completed stages up to the failure, as `TraceEntry`, in the order of the chain."""
    id: str = ""
    """Id of a row that could not be read: its own, or a hash of what was read of it."""
    fields: Mapping[str, Any] = field(factory=dict, hash=False, repr=False)
    """Fields of a row that could not be read, as far as they were read."""

    @property
    def row(self) -> str | None:
        """Label of the row in messages: ``in.csv, line 4``."""
        return None if self.origin is None else str(self.origin)

    @property
    def message(self) -> str:
        """The reason, after the position of the row if it is known."""
        return f"{self.row}: {self.reason}" if self.row else self.reason

    @property
    def line(self) -> str:
        """The message, after the arm that failed."""
        return f"{self.branch}: {self.message}" if self.branch else self.message

    def error(self) -> RowError:
        """Return the failure as an exception."""
        where = f"{self.stage} failed: " if self.stage else ""
        drawn = self.sample is not None and self.cause != "prompt"  # a prompt is that of them all
        sample = f"sample {self.sample}: " if drawn else ""
        what = "reply" if self.stage else "row"
        hint = None if self.text is None else f"the {what} was {_short(self.text)}"
        if self.where is not None:
            hint = f"raised at {self.where}"
        place = f"{self.row}: " if self.row else ""
        place += f"branch {self.branch}: " if self.branch else ""
        message = f"{place}{where}{sample}{self.reason}"
        found = RowError([Diagnostic("row", message, self.span, hint, subject=self.row)])
        if self.traceback is not None:
            found.add_note(self.traceback)
        return found


def _short(text: str, most: int = 200) -> str:
    return repr(text if len(text) <= most else text[: most - 1] + "…")

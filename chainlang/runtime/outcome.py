"""Outcomes of rows: a result or a failure."""

from __future__ import annotations

from attrs import evolve, field, frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.errors import RowError
from chainlang.protocol.failures import Cause
from chainlang.protocol.messages import Usage
from chainlang.semantics.outputs import Outputs
from chainlang.semantics.record import Flow, Record
from chainlang.semantics.seeds import Place


@frozen
class RowFailure:
    """Failure of a row: the reason, and the stage and the sample that failed."""

    reason: str
    stage: str | None = None
    """Name of the failed stage; None if the row reached none."""
    place: Place = ()
    sample: int | None = None
    """Number of the failed sample; None if the stage failed as a whole."""
    text: str | None = None
    """Text of the invalid reply, if any."""
    line: int | None = None
    """Line in the source of a row that could not be read."""
    row: str | None = None
    """Position of the row in its source, for messages: ``in.csv, line 4``."""
    cause: Cause = "input"
    transient: bool = False
    """Whether the same request may succeed later."""
    where: str | None = None
    """Line of the user's function that raised."""
    traceback: str | None = field(default=None, repr=False)
    """Python's traceback of that exception."""
    span: Span | None = field(default=None, eq=False, repr=False)

    @property
    def message(self) -> str:
        """The reason, after the position of the row if it is known."""
        return f"{self.row}: {self.reason}" if self.row else self.reason

    def error(self) -> RowError:
        """Return the failure as an exception."""
        where = f"{self.stage} failed: " if self.stage else ""
        drawn = self.sample is not None and self.cause != "prompt"  # a prompt is that of them all
        sample = f"sample {self.sample}: " if drawn else ""
        hint = None if self.text is None else f"the reply was {_short(self.text)}"
        if self.where is not None:
            hint = f"raised at {self.where}"
        place = f"{self.row}: " if self.row else ""
        message = f"{place}{where}{sample}{self.reason}"
        found = RowError([Diagnostic("row", message, self.span, hint, subject=self.row)])
        if self.traceback is not None:
            found.add_note(self.traceback)
        return found


def _short(text: str, most: int = 200) -> str:
    return repr(text if len(text) <= most else text[: most - 1] + "…")


@frozen
class Outcome:
    """A completed row: its position in the input, and its result or its failure."""

    index: int
    row_id: str
    flow: Flow | None
    failure: RowFailure | None
    usage: Usage
    start: Record | None = field(default=None, repr=False)
    """Initial record of the row; None if it could not be read."""

    @property
    def cause(self) -> Cause | None:
        """Cause of the failure; None for a result."""
        return None if self.failure is None else self.failure.cause

    def showing(self, outputs: Outputs) -> Outcome:
        """Return the outcome with only the given outputs of its result."""
        flow = None if self.flow is None else outputs.of_flow(self.flow)
        return self if flow is self.flow else evolve(self, flow=flow)

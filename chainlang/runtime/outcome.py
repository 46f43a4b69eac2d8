"""What became of a row: a result or a failure, as values."""

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
    """Why a row has no result: the reason, and the stage and the sample that failed."""

    reason: str
    stage: str | None = None
    """The name of the stage that failed; None if the row never reached one."""
    place: Place = ()
    sample: int | None = None
    """The number of the sample, where one failed and not the stage as a whole."""
    text: str | None = None
    """The reply that did not fit, where there was one."""
    line: int | None = None
    """The line of the row in its source, where it could not be read."""
    row: str | None = None
    """The place of the row in its source, in words: ``in.csv, line 4``."""
    cause: Cause = "input"
    transient: bool = False
    """Whether the same request may succeed when it is sent again."""
    where: str | None = None
    """The line of the user's function that raised, where one did."""
    traceback: str | None = field(default=None, repr=False)
    """The way to that line, as Python shows it."""
    span: Span | None = field(default=None, eq=False, repr=False)

    @property
    def message(self) -> str:
        """The reason, after the place of the row where that is known."""
        return f"{self.row}: {self.reason}" if self.row else self.reason

    def error(self) -> RowError:
        """Return the failure as an exception, for a caller that asked for the result."""
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
    """A row that is done: its position in the input, and its result or its failure."""

    index: int
    row_id: str
    flow: Flow | None
    failure: RowFailure | None
    usage: Usage
    start: Record | None = field(default=None, repr=False)
    """What the row started as; None if it could not be read."""

    @property
    def cause(self) -> Cause | None:
        """Why it failed, if it did."""
        return None if self.failure is None else self.failure.cause

    def showing(self, outputs: Outputs) -> Outcome:
        """Return the outcome with what of its result is looked at."""
        flow = None if self.flow is None else outputs.of_flow(self.flow)
        return self if flow is self.flow else evolve(self, flow=flow)

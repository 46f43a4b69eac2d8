"""Outcomes of rows: a result or a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve, field, frozen

from chainlang.protocol.failures import Cause
from chainlang.protocol.messages import Usage
from chainlang.protocol.quick_init import quick_init
from chainlang.protocol.usages import Usages
from chainlang.semantics.events import Event
from chainlang.semantics.outputs import Outputs
from chainlang.semantics.record import Branched, Flow, Record, events_of, failures_of
from chainlang.semantics.row_failure import RowFailure


@quick_init
@frozen(weakref_slot=False)
class Outcome:
    """A completed row: its position in the input, and its result or its failure."""

    index: int
    row_id: str
    flow: Flow | None
    """Its result; of a branch also if arms failed. None if the row failed as a whole."""
    failure: RowFailure | None
    """Why the row failed: of a branch, the failure of its first failed arm."""
    usages: Usages
    start: Record | None = field(default=None, repr=False)
    """Initial record of the row; None if it could not be read."""
    seconds: float | None = field(default=None, eq=False, repr=False)
    """Time from the start of the row to its end, on its clock; None if it did not run."""

    @property
    def fields(self) -> Mapping[str, Any]:
        """Fields and columns of the row, as far as they were read."""
        if self.start is None:
            return {} if self.failure is None else self.failure.fields
        return {**self.start.row, **self.start.extra} if self.start.extra else self.start.row

    @property
    def events(self) -> tuple[Event, ...]:
        """Everything that happened in the row, whether it succeeded or failed."""
        flow = self.failure if self.flow is None else self.flow
        return self._of_row if flow is None else (*self._of_row, *events_of(flow))

    @property
    def _of_row(self) -> tuple[Event, ...]:
        """The events of the row as a whole, and of no part of its chain."""
        if self.start is None:
            return ()
        if self.start.equal_to is None:
            return self.start.of_row
        equal = Event("equal", (), f"{self.start.equal_to} has the same fields")
        return (equal, *self.start.of_row)

    @property
    def usage(self) -> Usage:
        """Usage of all its stages."""
        return self.usages.total

    @property
    def cause(self) -> Cause | None:
        """Cause of the failure; None for a result."""
        return None if self.failure is None else self.failure.cause

    @property
    def failures(self) -> tuple[RowFailure, ...]:
        """The failure of the row, or those of all failed arms of its branch, in written order."""
        if isinstance(self.flow, Branched):
            return failures_of(self.flow)
        return () if self.failure is None else (self.failure,)

    def showing(self, outputs: Outputs) -> Outcome:
        """Return the outcome with only the given outputs of its result."""
        flow = None if self.flow is None else outputs.of_flow(self.flow)
        return self if flow is self.flow else evolve(self, flow=flow)

"""Diagnostics of the first rows that failed, one for each reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, evolve, field

if TYPE_CHECKING:
    from chainlang.diagnostics.diagnostic import Diagnostic
    from chainlang.runtime.outcome import Outcome

SHOWN = 3
"""Number of failed rows that are shown; `errors.jsonl` has all."""


@define
class Failures:
    """Diagnostics of the first rows that failed, one for each reason."""

    found: list[Diagnostic] = field(factory=list)
    of_rows: list[tuple[int, str]] = field(factory=list)
    """The position of the row of each, and its reason: the message without the row."""
    rows: int = 0
    """Number of rows with a diagnostic in `found`."""
    reasons: set[str] = field(factory=set)

    def row(self, outcome: Outcome) -> None:
        """Keep the diagnostics of a failed row, unless there are enough."""
        if self.rows == SHOWN:
            return
        is_new = False
        for failure in outcome.failures:
            if outcome.start is not None:
                failure = evolve(failure, origin=outcome.start.origin)  # noqa: PLW2901
            (without_row,) = evolve(failure, origin=None).error().diagnostics
            reason = without_row.message
            if reason not in self.reasons:
                self.reasons.add(reason)
                found = failure.error().diagnostics
                self.found += found
                self.of_rows += [(outcome.index, reason)] * len(found)
                is_new = True
        self.rows += is_new

"""Summaries of runs into folders, also of interrupted ones."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from attrs import field, frozen

from chainlang.display.summary import summary_html
from chainlang.protocol.usage import Usage
from chainlang.session.cost_report import Costs


@frozen
class Summary:
    """Summary of a run into a folder, also of an interrupted one."""

    rows: int
    failed: int
    usage: Usage
    seconds: float
    folder: Path
    events: Mapping[str, int] = field(factory=dict)
    """Number of events of each kind that has happened."""
    by_model: Mapping[str, Usage] = field(factory=dict)
    """Usage of each model."""
    by_stage: Mapping[str, Usage] = field(factory=dict)
    """Usage of each stage, by its name."""
    recorded: int = 0
    """Number of samples taken from the journal of the folder."""
    cached: int = 0
    """Number of samples taken from the cache."""
    loads: int = 0
    """Number of model loads."""
    costs: Costs | None = None
    """Predicted and actual costs, with `analyze`."""
    cost: Decimal | None = None
    """Dollars for all that was sampled, also for what no row has; None if it is not known."""
    cost_by_model: Mapping[str, Decimal | None] = field(factory=dict)
    """Dollars for each model; None if it is not known."""
    waited: float = 0.0
    """Seconds of waiting for the database of the journal."""
    left_out: Mapping[str, int] = field(factory=dict)
    """Number of rows in which a field has a value that JSON can't hold, which no table has."""
    went_on: tuple[int, str] | None = None
    """The row in which a resumed run went on, by its position, and the part of the chain: the first
    for which the journal had no sample; None if no row was half done."""

    @property
    def distinct(self) -> int:
        """Number of rows without those that have the fields of an earlier one, and no id."""
        return self.rows - self.events.get("equal", 0)

    @property
    def resumed(self) -> str:
        """The row and the part in which the run went on, as words; empty if none was half done."""
        if self.went_on is None:
            return ""
        row, part = self.went_on
        return f"row {row + 1:,} went on at {part}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Representations for notebooks: the counts of the run, by model and stage."""
        lines = {
            "rows": f"{self.rows:,}" + (f", {self.failed:,} failed" if self.failed else ""),
            "time": f"{self.seconds:,.1f} s",
            "from the journal": f"{self.recorded:,} samples" if self.recorded else "",
            "resumed": self.resumed,
            "from the cache": f"{self.cached:,} samples" if self.cached else "",
            "events": ", ".join(f"{count:,} {kind}" for kind, count in self.events.items()),
            "results": str(self.folder / "flattened"),
            "failures": str(self.folder / "errors.jsonl") if self.failed else "",
        }
        usages = {"all": self.usage, **self.by_model, **self.by_stage}
        return {"text/plain": repr(self), "text/html": summary_html(lines, usages)}


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during a run into a folder, with the summary of its results so far."""

    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        rows = f"{summary.rows:,} {'row is' if summary.rows == 1 else 'rows are'}"
        super().__init__(f"{rows} in {summary.folder}: run the same call again to resume")

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows in place of a traceback."""
        return [f"interrupted: {self}"]

    def __reduce__(self) -> tuple[type[Interrupted], tuple[Summary]]:
        """Return the state for a pickle, which is the summary and not the message."""
        return Interrupted, (self.summary,)

"""Notes of the workers of a run, put together: one progress, the first failures, all counts."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field

from chainlang.cli.failures import SHOWN
from chainlang.cli.output import emit, log, say
from chainlang.display.progress import Status
from chainlang.display.progress_displays import standard_display
from chainlang.protocol.usage import ZERO, Usage, plus
from chainlang.session.summary import Summary
from chainlang.settings import Shard

if TYPE_CHECKING:
    from collections.abc import Callable

    from chainlang.cli.observed import RowEnd
    from chainlang.scale.workers import Note

_MOST = 100
"""Number of different messages that are shown."""
_SHARD = re.compile(r"shard-\d{4,}-of-\d{4,}")
_SUMS = ("rows", "failed", "recorded", "cached", "loads")


@define(eq=False)
class Board:
    """Takes up the notes of all workers, and shows them as those of one run."""

    count: int
    """Number of workers."""
    log_format: str
    as_json: bool = False
    row: Callable[[RowEnd], object] = lambda _: None
    """Called with the end of each row, if the workers say it."""
    lost: Counter[str] = field(factory=Counter)
    """Number of spans that each collector did not take."""
    started: float = field(factory=time.monotonic)
    progress: dict[int, Mapping[str, Any]] = field(factory=dict)
    """The latest progress or summary of each worker."""
    summaries: dict[int, Mapping[str, Any]] = field(factory=dict)
    """The summaries of the last attempts that had one."""
    errors: list[dict[str, Any]] = field(factory=list)
    """All errors that were shown, for JSON."""
    shown_rows: int = 0
    """Number of failed rows that were shown."""
    _failed: dict[int, list[dict[str, Any]]] = field(factory=dict)
    """Errors of the first failed rows of each worker, by the position of the row."""
    _seen: set[str] = field(factory=set)
    _display: Any = field(factory=standard_display)
    _shown: float = field(factory=time.monotonic)

    def hear(self, note: Note) -> None:
        """Take up a note of a worker."""
        fields = dict(note.fields)
        match note.event:
            case "progress":
                self.progress[note.worker] = fields
                self._show()
            case "summary":
                self.progress[note.worker] = self.summaries[note.worker] = fields
            case "row":
                self.row(fields["end"])
            case "lost":
                self.lost[fields["endpoint"]] += fields["spans"]
            case "died":
                self._say(f"worker {note.worker} died ({fields['why']}), and is started again")
            case "gone":
                self._say(
                    f"worker {note.worker} died ({fields['why']}), and is not started again: it "
                    f"died {fields['attempts']:,} times without writing a row"
                )
            case "error" | "warning" if "row_index" in fields:
                index = Shard(note.worker, self.count).row(fields.pop("row_index"))
                self._failed.setdefault(index, []).append({"event": note.event, **fields})
            case "error" | "warning":
                self._found({"event": note.event, **fields})
            case "note":
                self._once(str(fields.get("message", "")))
            case _ if note.text:
                self._once(note.text, f"worker {note.worker}: {note.text}")

    def end(self) -> None:
        """End the progress, and show the first failed rows."""
        end = getattr(self._display, "end", None)
        if end is not None and self.log_format == "text":
            end(self.status())
        reasons = set[str]()
        for _, found in sorted(self._failed.items()):
            new = [one for one in found if one["reason"] not in reasons]
            if new and self.shown_rows < SHOWN:
                self.shown_rows += 1
                reasons |= {one.pop("reason") for one in new}
                for one in new:
                    self._found(one, always=True)
        if self.errors:
            emit(json.dumps(self.errors, indent=2))

    def _found(self, fields: dict[str, Any], *, always: bool = False) -> None:
        """Show an error or a warning."""
        text = str(fields.get("message", ""))
        key = _SHARD.sub("", text)  # what holds for all is said of the first
        if not always and (key in self._seen or len(self._seen) > _MOST):
            return
        self._seen.add(key)
        event, page = fields.pop("event"), fields.pop("page", text)
        fields.pop("time", None)
        if self.as_json and event == "error":
            self.errors.append({"severity": event, **fields})
        elif self.log_format == "json":
            log(event, **fields)
        else:
            self._say(f"{page}\n")

    def _once(self, text: str, shown: str | None = None) -> None:
        if text not in self._seen and len(self._seen) <= _MOST:
            self._seen.add(text)
            self._say(text if shown is None else shown)

    def _say(self, text: str) -> None:
        if self.log_format == "json":
            log("note", message=text)
        elif self._display is None:
            say(text)
        else:
            self._display(text)

    def _show(self) -> None:
        now = time.monotonic()
        as_log = self.log_format == "json"
        if not as_log and self._display is None:
            return
        if now - self._shown < (10.0 if as_log else self._display.every):
            return
        self._shown = now
        status = self.status()
        if as_log:
            names = ("rows", "expected", "failed", "rows_per_second", "tokens_per_second")
            log("progress", **{name: getattr(status, name) for name in (*names, "seconds_left")})
        else:
            self._display(status)

    def status(self) -> Status:
        """Return the progress of all workers together."""
        each = self.progress.values()
        left = [one["seconds_left"] for one in each if one.get("seconds_left") is not None]
        expected = [one.get("expected") for one in each]
        known = [one for one in expected if one is not None]
        total: dict[str, float] = {
            name: sum(one.get(name) or 0 for one in each)
            for name in ("rows", "failed", "rows_per_second", "tokens_per_second")
        }
        return Status.of(
            int(total["rows"]),
            sum(known) if known and len(known) == len(expected) else None,
            int(total["failed"]),
            total["rows_per_second"],
            total["tokens_per_second"],
            time.monotonic() - self.started,
            max(left) if left else None,
        )

    def summary(self, out: Path) -> Summary | None:
        """Return the summary of what the workers have done; None if one has not said it."""
        each = self.summaries.values()
        if len(each) < self.count:
            return None
        spent: dict[str, Decimal | None] = {}
        for name, cost in (pair for one in each for pair in one["cost_by_model"].items()):
            spent[name] = plus(spent.get(name, ZERO), None if cost is None else Decimal(cost))
        costs = [one["cost"] for one in each]
        counts = {name: sum(one[name] for one in each) for name in _SUMS}
        return Summary(
            **counts,
            usage=Usage.total(_usage(one["usage"]) for one in each),
            seconds=time.monotonic() - self.started,
            folder=out,
            events=_summed(one["events"] for one in each),
            by_model=_usages(one["by_model"] for one in each),
            by_stage=_usages(one["by_stage"] for one in each),
            cost=None if None in costs else sum(map(Decimal, costs), ZERO),
            cost_by_model=spent,
            waited=max(one["waited"] for one in each),
            left_out=_summed(one["left_out"] for one in each),
            went_on=self._went_on(),
        )

    def completed(self, merged: Summary) -> Summary:
        """Return the summary of the merged run, with what only the workers know."""
        said = self.summary(merged.folder)
        seconds = time.monotonic() - self.started
        if said is None:
            return evolve(merged, seconds=seconds)
        of_workers = ("recorded", "cached", "loads", "waited", "went_on")
        more = {name: getattr(said, name) for name in of_workers}
        return evolve(merged, seconds=seconds, **more)

    def _went_on(self) -> tuple[int, str] | None:
        """Return the first row that was half done, by its position in the input, and its part."""
        found = [
            (Shard(worker, self.count).row(one["went_on"][0]), one["went_on"][1])
            for worker, one in self.summaries.items()
            if one["went_on"] is not None
        ]
        return min(found, default=None)


def _usage(found: Mapping[str, Any]) -> Usage:
    cost = found["cost"]
    return Usage(**{**found, "cost": None if cost is None else Decimal(cost)})


def _usages(several: Iterable[Mapping[str, Any]]) -> dict[str, Usage]:
    found: dict[str, list[Usage]] = {}
    for one in several:
        for name, usage in one.items():
            found.setdefault(name, []).append(_usage(usage))
    return {name: Usage.total(each) for name, each in found.items()}


def _summed(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one in several:
        found.update(one)
    return dict(found)

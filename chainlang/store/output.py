"""The output of a run so far, with its counts, and the notes from which a run resumes.

A note describes only data that is synced to the disk. It has the length of each incomplete file, so
that a resumed run truncates what was written after the note; the rows that it counts are neither
run nor written again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import asdict, define, field

from chainlang.protocol.usages import Usages
from chainlang.semantics.events import Event
from chainlang.semantics.not_json import json_only, left_out
from chainlang.semantics.origin import Origin
from chainlang.semantics.record import Flow, Record, failures_of, trace_of
from chainlang.semantics.row_failure import RowFailure
from chainlang.settings import WHOLE, Format, Shard
from chainlang.store.candidate_lines import CandidateLines
from chainlang.store.flatten import flattened, named_parts, results
from chainlang.store.folder_names import folder_name
from chainlang.store.part_files import Parts
from chainlang.store.passed import NOTHING, Passed
from chainlang.store.safe_files import Folder
from chainlang.store.stage_tables import StageTables
from chainlang.store.table_formats import converter, json_line

LAYOUT = 4
"""Version of the tables and their columns; the tables of another version are written anew."""
ERRORS, EVENTS = "errors.jsonl", "events.jsonl"
ROOT = (ERRORS, EVENTS)
"""Tables that are one file in the root; no folder of a part has a dot."""
_LATER = 1000  # rows whose usages are added at once


def read(before: str, number: int, fields: Mapping[str, Any]) -> str:
    """Return the hash of the input rows up to this one, from the hash of those before it.

    >>> read("", 1, {"text": "a"}) == read("", 1, {"text": "b"})
    False
    """
    return _hash(before, number, json_only(fields))


def _hash(before: str, number: int, fields: Mapping[str, Any]) -> str:
    line = b"%s %d %s" % (before.encode(), number, json_line(fields))
    return hashlib.blake2b(line, digest_size=16).hexdigest()


@define(eq=False)
class Output:
    """The tables of a run, and its counts."""

    root: Folder
    format: Format
    part_rows: int
    skip: bool = False
    """Whether failed rows are left out of the results."""
    with_candidates: bool = True
    """Whether the final candidates have a table of their own."""
    rows: int = 0
    """Number of written rows, including failed ones."""
    failed: int = 0
    _usages: Usages = field(factory=Usages)
    """Usages of all rows but the last ones."""
    inputs: str = ""
    """Hash of the input rows that were written."""
    folders: dict[str, str] = field(factory=dict)
    """Folder of each named part."""
    outputs: set[str] = field(factory=set)
    unkept: dict[str, dict[str, None]] = field(factory=dict)
    """Parts of each stage's type that its engine did not enforce."""
    events: Counter[str] = field(factory=Counter)
    """Number of events of each kind."""
    left_out: Counter[str] = field(factory=Counter)
    """Number of rows in which a field has a value that JSON can't hold, by field."""
    tables: dict[str, Parts] = field(factory=dict)
    """Tables by the names of their folders or files."""
    layout: int = LAYOUT
    escape_formulas: bool = False
    """Whether cells of CSV that a spreadsheet would compute begin with an apostrophe."""
    stages: StageTables = field(factory=StageTables)
    """Tables of the stages; none if the trace is no output."""
    shard: Shard = WHOLE
    """Shard that the rows are of."""
    passed: Passed = NOTHING
    """The last rows whose place in their file is known."""
    _later: list[Usages] = field(factory=list, init=False)
    """Usages of the last rows, which are added many at a time."""

    @property
    def usages(self) -> Usages:
        """Usages of all rows."""
        if self._later:
            several = (self._usages, *self._later)
            self._usages = Usages.of([part for one in several for part in one.parts.items()])
            self._later.clear()
        return self._usages

    def spend(self, usages: Usages) -> None:
        """Add the usages of a row."""
        self._later.append(usages)
        if len(self._later) >= _LATER:
            self._usages = self.usages

    # ---- writing

    def write(  # noqa: PLR0917
        self,
        origin: Origin,
        row_id: str,
        fields: Mapping[str, Any],
        flow: Flow | None,
        failure: RowFailure | None,
        usages: Usages,
        events: Iterable[Event],
    ) -> None:
        """Write the outcome of a row, with each failed arm of a branch.

        Its number in the tables is its position in the input.
        """
        lost = left_out(fields)
        if lost:
            self.left_out.update(lost)
            fields = json_only(fields)
        # Most rows are a record: what is asked of others is not asked of it.
        record = flow if isinstance(flow, Record) else None
        failures = () if flow is None or record is not None else failures_of(flow)
        if failure is not None and not failures:
            failures = (failure,)
        self.inputs = _hash(self.inputs, origin.number, fields)
        self.spend(usages)
        number, part = self.shard.row(self.rows) + 1, self._next("answers")
        if not (failures and self.skip):
            message = "; ".join(one.line for one in failures) or None
            row = flattened(row_id, fields, flow, message, self.outputs)
            self.table("flattened").add(row, part)
        self.failed += bool(failures)
        for one in failures:
            line = _trouble(number, origin, row_id, one, fields)
            self.table(ERRORS).add(line, self._next(ERRORS))
        for event in events:
            self.events[event.kind] += 1
            line = {"row": number, "id": row_id, **asdict(event)}
            self.table(EVENTS).add(line, self._next(EVENTS))
        lines = CandidateLines(number, row_id, part)
        if flow is not None:
            if self.with_candidates:
                for branch, candidates in results(flow):
                    lines.add(self.table("answers"), branch, candidates)
            self._write_stages(flow, lines)
            has_parts = record is None or record.history
            for name, found in named_parts(flow).items() if has_parts else ():
                if name in self.stages.own:
                    continue  # the table of its stage has all of it
                taken = {"flattened", "answers", *self.stages.folders, *self.folders.values()}
                folder = self.folders.get(name) or folder_name(name, taken)
                self.folders[name] = folder
                for branch, candidates in found:
                    lines.add(self.table(folder), branch, candidates)
        elif failure is not None:
            self._write_stages(failure, lines)
        self.rows += 1

    def _write_stages(self, flow: Flow, lines: CandidateLines) -> None:
        """Write the candidates of all stages of a row, and what was not enforced of theirs."""
        stages = self.stages
        # Most rows are a record, whose entries are of no branch.
        whole = [("", one) for one in flow.trace] if isinstance(flow, Record) else None
        for branch, entry in trace_of(flow) if whole is None else whole:
            for one in entry.candidates:
                if one.unkept and not isinstance(flow, RowFailure):
                    self.unkept.setdefault(entry.stage, {}).update(dict.fromkeys(one.unkept))
            if stages.tables and entry.candidates:
                folder, further = stages.columns(entry)
                lines.add(self.table(folder), branch, entry.candidates, further)

    def _next(self, table: str) -> str:
        """Return the part of the next row; the same in each table with parts."""
        return self.part(table, self.rows)

    def _last(self, table: str) -> str:
        """Return the part of the last row."""
        return self.part(table, max(self.rows - 1, 0))

    def part(self, table: str, row: int) -> str:
        """Return the part of a table that has the row with an index."""
        return table.partition(".")[0] if table in ROOT else f"{row // self.part_rows:03}"

    @property
    def is_full(self) -> bool:
        """Whether the last row completed a part."""
        return self.rows > 0 and self.rows % self.part_rows == 0

    def table(self, name: str) -> Parts:
        """Return the table with a folder, or with a file in the root; create it if missing."""
        found = self.tables.get(name)
        if found is None:
            if name in ROOT:
                found = Parts(self.root, "", "jsonl")
            else:
                found = Parts(
                    self.root,
                    name,
                    self.format,
                    converter(self.format, escape_formulas=self.escape_formulas),
                )
            self.tables[name] = found
        return found

    def roll(self, *, keep_lines: bool = False) -> None:
        """Complete the part of the last row in each table.

        With `keep_lines` a resumed run can still append to it.
        """
        for name, table in self.tables.items():
            if name not in ROOT:
                table.roll(self._last(name), keep_lines=keep_lines)

    def finish(self, *, keep_lines: bool) -> None:
        """Complete all files."""
        self.roll(keep_lines=keep_lines)
        self.table(ERRORS).roll(self._last(ERRORS), empty=True)
        self.table(EVENTS).roll(self._last(EVENTS))

    # ---- resuming

    def note(self) -> dict[str, Any]:
        """Sync the written files to the disk, and return the state that a resumed run needs."""
        for name, table in self.tables.items():
            table.sync(self._last(name))
        return {
            "layout": self.layout,
            "escape_formulas": self.escape_formulas,
            "format": self.format,
            "part_rows": self.part_rows,
            "skip": self.skip,
            "with_candidates": self.with_candidates,
            "rows": self.rows,
            "failed": self.failed,
            "usage": self.usages.total.as_json(),
            "usages": self.usages.note(),
            "inputs": self.inputs,
            "folders": self.folders,
            "outputs": sorted(self.outputs),
            "unkept": {stage: list(parts) for stage, parts in self.unkept.items()},
            "stepped_in": dict(self.events),
            "left_out": dict(self.left_out),
            "passed": self.passed.note(),
            "tables": {name: table.note() for name, table in self.tables.items()},
        }

    @staticmethod
    def noted(root: Folder, note: Mapping[str, Any], like: Output) -> Output:
        """Return the output that a note describes, `like` one with the same stages and shard.

        Its files are not checked before `kept`.
        """
        found = Output(
            root,
            note["format"],
            note["part_rows"],
            note["skip"],
            note["with_candidates"],
            note["rows"],
            note["failed"],
            # Earlier notes have the total alone.
            Usages.noted(note["usages"] if "usages" in note else [["", "", note["usage"]]]),
            note["inputs"],
            dict(note["folders"]),
            set(note["outputs"]),
            {stage: dict.fromkeys(parts) for stage, parts in note["unkept"].items()},
            Counter(note["stepped_in"]),
            Counter(note.get("left_out", {})),
            layout=note.get("layout", 1),
            escape_formulas=note.get("escape_formulas", False),
            stages=like.stages,
            shard=like.shard,
            passed=Passed.noted(note.get("passed"), note["rows"]),
        )
        for name, table in note["tables"].items():
            found.table(name).take(table)
        return found

    def is_alike(self, other: Output) -> bool:
        """Return whether another output writes rows in the same format."""
        names = ("layout", "format", "part_rows", "skip", "escape_formulas")
        return all(getattr(self, name) == getattr(other, name) for name in names)

    def kept(self) -> set[str] | None:
        """Return the files of the noted output; None if they do not match the note.

        Nothing is changed.
        """
        names: set[str] = set()
        for name, table in self.tables.items():
            found = table.kept(self._next(name), is_full=self.is_full and name not in ROOT)
            if found is None:
                return None
            names.update(f"{table.folder}/{one}" if table.folder else one for one in found)
            if table.folder:
                names.add(table.folder)
        return names

    def reopen(self) -> None:
        """Restore the files to the state of the note, and complete a part that is full.

        If it is killed on the way, the next run can repeat it.
        """
        for table in self.tables.values():
            table.reopen()
        if self.is_full:
            self.roll()


def _trouble(
    number: int, origin: Origin, row_id: str, failure: RowFailure, fields: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "row": number,
        "file": origin.file,
        "line": origin.line,
        "id": row_id,
        "branch": failure.branch or None,
        "stage": failure.stage,
        "place": list(failure.place),
        "sample": failure.sample,
        "cause": failure.cause,
        "message": failure.message,
        "text": failure.text,
        "traceback": failure.traceback,
        "fields": fields,
    }

"""The folder of a run: what goes where, and in what order it becomes visible.

::

    graph.json            the chain, as JSON; written first, so it marks the folder as a run's
    plan.txt              the plan, as text
    flattened/000.jsonl   one row for each row of the input, in its order
    answers/000.jsonl     one row for each final candidate
    <part>/000.jsonl      one row for each candidate of a named part
    errors.jsonl          one row for each row that failed
    events.jsonl          one row for each fallback, retry and loop that did not go the straight way
    journal.sqlite        every sample that was drawn, for a run that goes on
    metadata.json         versions, seed, models, counts, usage, times; written last
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Protocol

from attrs import asdict, define, field, frozen

from chainlang.diagnostics import Diagnostic
from chainlang.errors import ChainlangError, SourceError
from chainlang.ops.records import Flow, events_of
from chainlang.places import Place
from chainlang.settings import Format
from chainlang.store.begin import begun
from chainlang.store.clear import JOURNAL, removable
from chainlang.store.files import Folder, is_there
from chainlang.store.flatten import candidate_rows, flattened, named_parts, results, unkept
from chainlang.store.journal import Journal
from chainlang.store.names import folder_name
from chainlang.store.parts import Parts
from chainlang.store.tables import converter
from chainlang.wire import Usage

PART_ROWS = 10_000

Status = Literal["complete", "interrupted", "stopped"]


@frozen(kw_only=True)
class About:
    """What is known of a run before its first row."""

    chain: str
    """The chain as text."""
    graph: str
    """The chain as JSON."""
    plan: str
    seed: int = 0
    models: Mapping[str, Any] = field(factory=dict)
    """For each model what its engine promises, and whatever else tells it from others."""
    settings: Mapping[str, Any] = field(factory=dict)
    """Whatever else bears on the results."""

    def identity(self) -> dict[str, Any]:
        """Return what tells this run from another, as JSON values."""
        return {
            "chain": self.chain,
            "plan": self.plan,
            "seed": self.seed,
            "models": dict(self.models),
            "settings": dict(self.settings),
        }


class Trouble(Protocol):
    """Why a row has no result; a `RowFailure` is one."""

    @property
    def message(self) -> str: ...  # noqa: D102
    @property
    def stage(self) -> str | None: ...  # noqa: D102
    @property
    def place(self) -> Place: ...  # noqa: D102
    @property
    def sample(self) -> int | None: ...  # noqa: D102
    @property
    def text(self) -> str | None: ...  # noqa: D102
    @property
    def line(self) -> int | None: ...  # noqa: D102
    @property
    def cause(self) -> str: ...  # noqa: D102
    @property
    def traceback(self) -> str | None: ...  # noqa: D102


@define(eq=False)
class RunFolder:
    """The folder of a run that is going on. Make one with `create`, and use it with ``with``.

    Results appear part by part, each complete. Two equal runs write equal bytes, but for
    ``metadata.json``. Leaving the ``with`` block before `finish` marks the run interrupted, and
    keeps what it has.
    """

    root: Folder
    about: About
    format: Format
    part_rows: int
    journal: Journal
    usage: Usage = field(factory=Usage)
    failed: int = 0
    rows: int = 0
    """How many rows were written, failed ones included."""
    started: datetime = field(factory=lambda: datetime.now(UTC))
    tables: dict[str, Parts] = field(factory=dict)
    """By the names of their folders."""
    folders: dict[str, str] = field(factory=dict)
    """The folder of each named part."""
    outputs: set[str] = field(factory=set)
    unkept: dict[str, dict[str, None]] = field(factory=dict)
    """By stage: what of its type no engine held the replies to."""
    errors: Parts = field(init=False)
    events: Parts = field(init=False)
    stepped_in: Counter[str] = field(factory=Counter)
    """How many events there were, of each kind."""
    finished: bool = False

    def __attrs_post_init__(self) -> None:
        self.errors = Parts(self.root, "", "jsonl")
        self.events = Parts(self.root, "", "jsonl")

    @staticmethod
    def check(path: str | PathLike[str], *, format: Format, overwrite: bool) -> None:  # noqa: A002
        """Raise the `SourceError` that `create` would, as far as that is known beforehand.

        Nothing is made or removed, so this can come before a model is loaded.
        """
        converter(format)
        where = Path(path)
        if is_there(where):
            root = Folder.open(where)
            try:
                # Whether a run that can be gone on with is the same one is known only later.
                removable(root, overwrite=overwrite or root.kind(JOURNAL) == "file")
            finally:
                root.close()

    @staticmethod
    def create(
        path: str | PathLike[str],
        about: About,
        *,
        format: Format = "jsonl",  # noqa: A002  # what everybody calls it
        part_rows: int = PART_ROWS,
        overwrite: bool = False,
        changed: bool = False,
    ) -> RunFolder:
        """Return the folder of a run, made where there is none.

        A folder that holds the same run goes on with its journal, and writes its files anew. One
        that holds another run is refused, with what differs, unless `changed`, which keeps the
        journal for what still fits, or `overwrite`, which removes it. A folder that holds anything
        else is always refused. `part_rows` is how many rows of the input a part holds. Raises
        `SourceError`.
        """
        converter(format)
        if part_rows < 1:
            what = f"part_rows={part_rows}: a part holds at least one row"
            raise SourceError([Diagnostic("file", what)])
        root = Folder.open(path)
        try:
            root.lock()
            journal = begun(root, about.identity(), overwrite=overwrite, changed=changed)
            try:
                root.write("graph.json", _text(about.graph))
                root.write("plan.txt", _text(about.plan))
            except BaseException:
                journal.close()
                raise
        except BaseException:
            root.close()
            raise
        return RunFolder(root, about, format, part_rows, journal)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        try:
            if not self.finished:
                self.finish("interrupted")
        except ChainlangError:
            if kind is None:  # else the first error is the one to tell
                raise
        finally:
            self.journal.close()
            self.root.close()

    def write(
        self,
        number: int,
        row_id: str,
        fields: Mapping[str, Any],
        flow: Flow | None,
        *,
        failure: Trouble | None = None,
        usage: Usage | None = None,
        skip: bool = False,
    ) -> None:
        """Write what became of a row: its `flow`, or its `failure`.

        One that failed is in ``errors.jsonl``, and among the results unless they `skip` it.

        Rows come in the order of the input, each once; `number` is a row's line or position. A row
        that could not be read has no id and no fields: ``write(7, "", {}, None, failure=...)``.
        Raises `SourceError` if the disk does.
        """
        self.usage += usage or Usage()
        message = failure.message if failure is not None else None
        if failure is None or not skip:
            row = flattened(row_id, fields, flow, message, self.outputs)
            self.table("flattened").add(row, self.part)
        if failure is not None:
            self.failed += 1
            self.errors.add(_trouble(number, row_id, failure), "errors")
        if flow is not None:
            for stage, parts in unkept(flow):
                self.unkept.setdefault(stage, {}).update(dict.fromkeys(parts))
            for event in events_of(flow):
                self.stepped_in[event.kind] += 1
                self.events.add({"row": number, "id": row_id, **asdict(event)}, "events")
            for row in candidate_rows(number, row_id, list(results(flow))):
                self.table("answers").add(row, self.part)
            for name, found in named_parts(flow).items():
                folder = self.folders.setdefault(name, folder_name(name, self.tables))
                table = self.table(folder)
                for row in candidate_rows(number, row_id, found):
                    table.add(row, self.part)
        self.rows += 1
        if self.rows % self.part_rows == 0:
            self.roll()

    @property
    def part(self) -> str:
        """The name of the part that the next row goes to; the same in every table."""
        return f"{self.rows // self.part_rows:03}"

    def table(self, folder: str) -> Parts:
        """Return the table of that folder."""
        for name in ("flattened", "answers", folder):
            if name not in self.tables:
                self.tables[name] = Parts(self.root, name, self.format, converter(self.format))
        return self.tables[folder]

    def roll(self) -> None:
        """Complete the part of every table that the last row went to."""
        part = f"{max(self.rows - 1, 0) // self.part_rows:03}"
        for table in self.tables.values():
            table.roll(part)

    def finish(self, status: Status = "complete", *, why: str | None = None) -> None:
        """Complete all files, `metadata.json` last; it says why a run stopped."""
        self.finished = True
        self.roll()
        self.errors.roll("errors", empty=True)
        self.events.roll("events")
        ended = datetime.now(UTC)
        said = self.metadata(status, ended) | ({} if why is None else {"stopped": why})
        text = json.dumps(said, indent=2, ensure_ascii=False, default=str)
        self.root.write("metadata.json", _text(text + "\n"))

    def metadata(self, status: Status, ended: datetime) -> dict[str, Any]:
        """Return what `metadata.json` says."""
        versions = {"chainlang": version("chainlang"), "python": platform.python_version()}
        if self.format == "parquet":
            versions["pyarrow"] = version("pyarrow")
        return {
            "status": status,
            "versions": versions,
            "chain": self.about.chain,
            "seed": self.about.seed,
            "models": dict(self.about.models),
            "settings": dict(self.about.settings),
            "unkept": {stage: list(parts) for stage, parts in self.unkept.items()},
            "format": self.format,
            "part_rows": self.part_rows,
            "parts": self.folders,
            "rows": {
                "read": self.rows,
                "succeeded": self.rows - self.failed,
                "failed": self.failed,
            },
            "events": dict(sorted(self.stepped_in.items())),
            "usage": asdict(self.usage),
            "started": self.started.isoformat(timespec="milliseconds"),
            "ended": ended.isoformat(timespec="milliseconds"),
            "seconds": round((ended - self.started).total_seconds(), 3),
        }


def _trouble(number: int, row_id: str, failure: Trouble) -> dict[str, Any]:
    return {
        "row": number,
        "id": row_id,
        "stage": failure.stage,
        "place": list(failure.place),
        "sample": failure.sample,
        "cause": failure.cause,
        "message": failure.message,
        "text": failure.text,
        "line": failure.line,
        "traceback": failure.traceback,
    }


def _text(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")

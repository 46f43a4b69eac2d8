"""The run folder: its files, and the order in which they are written.

::

    graph.json            the chain, as JSON; written first, so it marks the folder as a run's
    plan.txt              the plan, as text
    auto.json             the values that a model has decided, if any; written with the chain
    flattened/000.jsonl   one row for each row of the input, in its order
    answers/000.jsonl     one row for each final candidate
    <stage>/000.jsonl     one row for each candidate of a stage: E, E.2, J
    <part>/000.jsonl      one row for each candidate of a named part
    errors.jsonl          one row for each row that failed, and for each failed arm of a branch
    events.jsonl          one row for each event: a cut reply, a retry, a fallback, ...
    journal.sqlite        all samples, to resume the run, unless they are in a database
    metadata.json         versions, seed, models, counts, usage, times; written last
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from attrs import define, field, frozen

from chainlang.errors import ChainlangError
from chainlang.protocol.fingerprints import version_of
from chainlang.protocol.messages import Usage
from chainlang.protocol.price import total
from chainlang.protocol.usages import Usages
from chainlang.semantics.events import Event
from chainlang.semantics.origin import Origin
from chainlang.semantics.outputs import EVERYTHING, Outputs
from chainlang.semantics.record import Flow
from chainlang.semantics.row_failure import RowFailure
from chainlang.settings import WHOLE, Format, Shard
from chainlang.store.cleanup import DECISIONS, removable
from chainlang.store.identity import DATE, SHARD, UNBOUNDED
from chainlang.store.journal import Journal
from chainlang.store.journal_home import IN_FOLDER, JournalHome
from chainlang.store.output import Output
from chainlang.store.resume import NO_SOURCE, OUTPUT, PART, Source, begun, hold_retryable
from chainlang.store.safe_files import Folder, is_there
from chainlang.store.stage_tables import StageTables
from chainlang.store.table_formats import check_tables, converter

PART_ROWS = 10_000
NOTE_SECONDS = 5.0
"""Interval between two notes of the state of the output; each full part is noted too."""

Status = Literal["complete", "interrupted", "stopped"]


@frozen(kw_only=True)
class About:
    """Description of a run, known before its first row."""

    chain: str
    """The chain as text."""
    graph: str
    """The chain as JSON."""
    plan: str
    """The plan that is run."""
    meaning: str = ""
    """The unoptimized plan, which determines the samples; `plan` if empty."""
    unbounded: str = ""
    """Hash of the chain and its unoptimized plan without bounds of length; empty if unknown."""
    outputs: Outputs = EVERYTHING
    """Outputs of results that are written."""
    columns: frozenset[str] = frozenset()
    """Columns of outputs that are known before the first row, so that no row takes their names."""
    stages: StageTables = field(factory=StageTables)
    """Tables of the stages."""
    seed: int = 0
    date: str | None = None
    """Date of the run, if it is set."""
    models: Mapping[str, Any] = field(factory=dict)
    """Capabilities and fingerprint of each model's engine."""
    settings: Mapping[str, Any] = field(factory=dict)
    """Other settings that results depend on."""
    settings_file: str = ""
    """Path of the settings file in force; empty if there is none."""
    functions: Mapping[str, Any] = field(factory=dict)
    """File of the chain's functions: module, path and hash; empty if none was named."""
    policies: Mapping[str, Any] = field(factory=dict)
    """Choice of each policy, and its reasons."""
    shard: Shard | None = None
    """Shard of the run in the folder; None for a run that is not split."""
    decisions: str = ""
    """Values of the chain that a model has decided, as JSON; empty for none."""

    def identity(self) -> dict[str, Any]:
        """Return all that results depend on, as JSON values; a folder resumes only an equal run.

        `store.identity` says which runs are equal.
        """
        return {
            "chain": self.chain,
            "plan": self.meaning or self.plan,
            **({UNBOUNDED: self.unbounded} if self.unbounded else {}),
            "seed": self.seed,
            **({DATE: self.date} if self.date else {}),
            "models": dict(self.models),
            "settings": dict(self.settings),
            # The path may differ: a file that was moved is the same.
            **({"functions": {"hash": self.functions["hash"]}} if self.functions else {}),
            **({SHARD: str(self.shard)} if self.shard else {}),
        }


@define(eq=False)
class RunFolder:
    """The folder of a run in progress; a context manager, made by `create`.

    Results appear in complete parts. Equal runs write equal bytes, except in ``metadata.json``.
    Leaving the ``with`` block before `finish` marks the run as interrupted, and keeps its results.
    """

    root: Folder
    about: About
    journal: Journal
    output: Output
    before: Usages
    """Usage of the rows that were completed before this process resumed the run."""
    date: str | None = None
    """Date of the run, if the chat template of a model reads it."""
    replaced: Mapping[str, Any] | None = None
    """Identity of the run whose samples are looked up for this one, if it had another chain or
    other bounds."""
    home: JournalHome = IN_FOLDER
    started: datetime = field(factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    """Time at which the run ended, of one that is put together from others; None for now."""
    finished: bool = False
    _noted: float = field(factory=time.monotonic)
    """The moment of the last note of the output."""
    _redo: bool = False
    """Whether a resumed run repeats the last row."""
    _has_failed: bool = False

    @staticmethod
    def check(
        path: str | PathLike[str],
        *,
        format: Format,  # noqa: A002  # as below
        overwrite: bool,
        retry: bool = False,
        home: JournalHome = IN_FOLDER,
    ) -> None:
        """Raise the `SourceError` that `create` would raise, as far as is known beforehand.

        It creates and removes nothing, so that it can be called before a model is loaded.
        """
        converter(format)
        where = Path(path)
        if is_there(where):
            root = Folder.open(where)
            try:
                # Whether the run in the folder is the same one is known only later.
                known = home.has_elsewhere(root)
                replaces = overwrite or home.holds(root)
                removable(root, overwrite=replaces, is_known=known)
                if retry:
                    hold_retryable(root, home, overwrite=overwrite)
            finally:
                root.close()

    @staticmethod
    def create(
        path: str | PathLike[str],
        about: About,
        *,
        format: Format = "jsonl",  # noqa: A002  # what everybody calls it
        escape_formulas: bool = False,
        part_rows: int = PART_ROWS,
        overwrite: bool = False,
        changed: bool = False,
        skip: bool = False,
        source: Source = NO_SOURCE,
        retry: bool = False,
        private: bool = False,
        home: JournalHome = IN_FOLDER,
    ) -> RunFolder:
        """Return the folder of a run; create it if missing.

        A folder with the same run is resumed: its output is continued if `source` can skip the
        completed rows and no bound of length has changed, and rewritten from the samples of
        the journal otherwise. A folder with
        a different run is an error that lists the differences, unless `changed`, which reuses
        identical samples and rewrites the files, or `overwrite`, which removes the run. A folder
        with other files is always an error. `part_rows` is the number of input rows in a part.
        Failed rows are in ``errors.jsonl``, and also among the results unless `skip`; `retry`
        runs and resamples them, and rewrites all files. Files have the permissions of the umask,
        but a `private` journal those of its owner only. Raises `SourceError`.
        """
        check_tables(format, part_rows)
        root = Folder.open(path)
        try:
            root.lock()
            started = begun(
                root,
                about.identity(),
                Output(
                    root,
                    format,
                    part_rows,
                    skip,
                    "candidates" in about.outputs,
                    outputs={*about.columns},
                    stages=about.stages if "trace" in about.outputs else StageTables(),
                    escape_formulas=escape_formulas,
                    shard=about.shard or WHOLE,
                ),
                source,
                overwrite=overwrite,
                changed=changed,
                retry=retry,
                private=private,
                home=home,
            )
            try:
                root.write("graph.json", _text(about.graph))
                root.write("plan.txt", _text(about.plan))
                if about.decisions:
                    root.write(DECISIONS, _text(about.decisions))
            except BaseException:
                started.journal.close()
                raise
        except BaseException:
            root.close()
            raise
        output = started.output
        return RunFolder(
            root, about, started.journal, output, output.usages, started.date, started.before, home
        )

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        try:
            if not (self.finished or self._has_failed):
                self.finish("interrupted")
        except ChainlangError:
            if kind is None:  # else the first error is the one to tell
                raise
        finally:
            self.journal.close()
            self.root.close()

    def write(
        self,
        origin: Origin,
        row_id: str,
        fields: Mapping[str, Any],
        flow: Flow | None,
        *,
        failure: RowFailure | None = None,
        usages: Usages | None = None,
        events: Iterable[Event] = (),
        redo: bool = False,
    ) -> None:
        """Write what became of a row, and its events: its `flow`, its `failure`, or both.

        Rows come in the order of the input, each once. If the run ends behind a row with `redo`,
        one that goes on does that row again. Raises `SourceError` if the disk does.
        """
        self._has_failed = True  # as `_whole` says, without the time that it takes
        self.output.write(origin, row_id, fields, flow, failure, usages or Usages(), events)
        self._redo = redo
        is_full = self.output.is_full
        if is_full or time.monotonic() - self._noted >= NOTE_SECONDS:
            self.note()
        if is_full:
            self.output.roll()
        self._has_failed = False

    def note(self) -> None:
        """Save the state of the output: a resumed run starts after these rows."""
        if self._redo:
            return
        note = self.output.note()
        self.journal.save({OUTPUT: note, PART: note} if self.output.is_full else {OUTPUT: note})
        self._noted = time.monotonic()

    def finish(
        self,
        status: Status = "complete",
        *,
        why: str | None = None,
        whole: Mapping[str, Any] | None = None,
        addresses: Mapping[str, Any] | None = None,
    ) -> None:
        """Complete all files, `metadata.json` last; `why` is the reason of a stopped run.

        `whole` describes the whole input of a shard that has read all of it, and `addresses`
        has the counts of the addresses of each model that has several.
        """
        self.finished = True
        with self._whole():
            self.note()
            self.output.finish(keep_lines=status != "complete")
            ended = self.ended or datetime.now(UTC)
            said = self.metadata(status, ended) | ({} if why is None else {"stopped": why})
            if addresses:
                said["addresses"] = dict(addresses)
            if self.about.shard is not None:
                said[SHARD] = {"number": self.about.shard.number, "of": self.about.shard.of}
                said[SHARD] |= whole or {}
            text = json.dumps(said, indent=2, ensure_ascii=False, default=str)
            self.root.write("metadata.json", _text(text + "\n"))

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Write no more files after an error in the block, since a row may be written in part."""
        self._has_failed = True
        yield
        self._has_failed = False

    def metadata(self, status: Status, ended: datetime) -> dict[str, Any]:
        """Return the content of `metadata.json`."""
        out = self.output
        versions = {"chainlang": version_of("chainlang"), "python": platform.python_version()}
        if out.format == "parquet":
            versions["pyarrow"] = version_of("pyarrow")
        return {
            "status": status,
            "versions": versions,
            "chain": self.about.chain,
            "seed": self.about.seed,
            **({DATE: self.date} if self.date else {}),
            "models": dict(self.about.models),
            "settings": dict(self.about.settings),
            "settings_file": self.about.settings_file or None,
            "functions": dict(self.about.functions) or None,
            **({"policies": dict(self.about.policies)} if self.about.policies else {}),
            **self.home.metadata(),
            **(_decided(self.about.decisions)),
            "unkept": {stage: list(parts) for stage, parts in out.unkept.items()},
            "format": out.format,
            "part_rows": out.part_rows,
            "outputs": sorted(out.outputs),
            "parts": {**out.folders, **out.stages.own},
            "stages": {
                one.folder: {"stage": one.stage, "place": list(one.place)}
                | ({"arms": list(one.arms)} if one.arms else {})
                for one in out.stages.tables
            },
            "rows": {
                "read": out.rows,
                "succeeded": out.rows - out.failed,
                "failed": out.failed,
                "distinct": out.rows - out.events["equal"],
            },
            "left_out": dict(sorted(out.left_out.items())),
            "events": dict(sorted(out.events.items())),
            "cost": _texts(total(spent := self.journal.spent)),
            "cost_by_model": {name: _texts(cost) for name, cost in spent.items()},
            "usage": out.usages.total.as_json(),
            "usage_by_model": _tables(out.usages.by_model()),
            "usage_by_stage": _tables(out.usages.by_stage()),
            "started": self.started.isoformat(timespec="milliseconds"),
            "ended": ended.isoformat(timespec="milliseconds"),
            "seconds": round((ended - self.started).total_seconds(), 3),
        }


def _texts(cost: Decimal | None) -> str | None:
    """Return a cost as text; None if it is unknown."""
    return None if cost is None else str(cost)


def _tables(usages: Mapping[str, Usage]) -> dict[str, Any]:
    return {name: usage.as_json() for name, usage in usages.items()}


def _text(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _decided(decisions: str) -> dict[str, Any]:
    """Return the values that a model has decided, for the metadata."""
    return {"auto": json.loads(decisions)["decided"]} if decisions else {}

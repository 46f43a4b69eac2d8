"""One run folder of the folders of all shards: equal to that of a run that was not split.

Lines are copied as they are, one table after another, so memory does not grow with the rows.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from os import PathLike
from typing import Any

from chainlang.protocol.price import total
from chainlang.protocol.usage import ZERO, plus
from chainlang.protocol.usages import Usages
from chainlang.scale.interleave import Table, by_row, by_turns, of_folder, of_root
from chainlang.scale.journals import Journals
from chainlang.scale.merge_folders import folders_of, make_room
from chainlang.scale.shard_runs import ShardRun, check
from chainlang.session.summary import Summary
from chainlang.settings import Format
from chainlang.store import About, RunFolder
from chainlang.store.cleanup import DECISIONS
from chainlang.store.folder_names import folder_name
from chainlang.store.identity import DATE, SHARD
from chainlang.store.journal import Journal
from chainlang.store.output import ERRORS, ROOT, Output
from chainlang.store.resume import MERGED, RUN
from chainlang.store.retry_failed import REDRAWN
from chainlang.store.run_folder import PART_ROWS
from chainlang.store.safe_files import Folder
from chainlang.store.sqlite_store import SqliteStore
from chainlang.store.stage_tables import StageTable, StageTables
from chainlang.store.table_formats import check_tables

_RESULTS = "flattened"


def merge(
    shards: str | PathLike[str] | Sequence[str | PathLike[str]],
    out: str | PathLike[str] | None = None,
    *,
    format: Format = "jsonl",  # noqa: A002  # as of a run
    part_rows: int = PART_ROWS,
    escape_formulas: bool = False,
    overwrite: bool = False,
    changed: bool = False,
    store: str | None = None,
) -> Summary:
    """Make one run folder of all shards of a run, and return its summary.

    `shards` is the folder with the folders of shards, in which the merged run then stands too, or
    a list of the folders of shards, which needs `out`. The files are those of one run over the
    whole input, and the folder resumes as one. An earlier merged run in the folder is replaced, one
    of another chain only with `changed`, and any other run only with `overwrite`. The shards are
    not changed. The journal of the merged run is a file of its folder; those of the shards may be
    in a database, which is `store`, or that of the environment or a settings file.

    Raises `SourceError` for shards that are not complete, or not of one run, and says which differ
    in what.
    """
    started = time.monotonic()
    check_tables(format, part_rows)
    folders, home = folders_of(shards, out)
    journals = Journals.of_store(store)
    with ExitStack() as stack:
        runs = []
        for one in folders:
            runs.append(ShardRun.open(one, journals))
            stack.callback(runs[-1].close)
        runs.sort(key=lambda one: one.shard.number)
        check(runs)
        first = runs[0]
        identity = {name: one for name, one in first.identity.items() if name != SHARD}
        root = Folder.open(home)
        try:
            root.lock()
            same = None if changed else identity
            make_room(root, same, sum(one.note["rows"] for one in runs), overwrite=overwrite)
            samples = SqliteStore.open(root, private=any(one.is_private for one in runs))
        except BaseException:
            root.close()
            raise
        journal = Journal(samples)
        output = Output(
            root,
            format,
            part_rows,
            first.note["skip"],
            first.note["with_candidates"],
            outputs={name for one in runs for name in one.note["outputs"]},
            stages=_stages(first),
            escape_formulas=escape_formulas,
        )
        about = _about(runs, identity)
        times = [datetime.fromisoformat(one.metadata["started"]) for one in runs]
        ends = [datetime.fromisoformat(one.metadata["ended"]) for one in runs]
        folder = RunFolder(
            root,
            about,
            journal,
            output,
            Usages(),
            identity.get(DATE),
            started=min(times),
            ended=max(ends),
        )
        with folder:
            _spent(journal, runs)
            for run in runs:
                journals.copy(run.root, run.metadata, samples)
            for name in ("graph.json", "plan.txt", *((DECISIONS,) if about.decisions else ())):
                root.write(name, _file(first.root, name))
            _counts(output, runs)
            _tables(output, runs)
            journal.save(
                {RUN: identity, MERGED: len(runs), REDRAWN: _redrawn(runs), **first.others}
            )
            folder.finish(addresses=_addresses(runs))
            spent = journal.spent
    return Summary(
        output.rows,
        output.failed,
        output.usages.total,
        time.monotonic() - started,
        home,
        dict(output.events),
        output.usages.by_model(),
        output.usages.by_stage(),
        cost=total(spent),
        cost_by_model=spent,
        left_out=dict(output.left_out),
    )


def _about(runs: Sequence[ShardRun], identity: Mapping[str, Any]) -> About:
    """Return the description of the whole run."""
    said = runs[0].metadata
    return About(
        chain=said["chain"],
        graph="",
        plan="",
        seed=said["seed"],
        models=identity["models"],
        settings=identity["settings"],
        settings_file=said.get("settings_file") or "",
        functions=said.get("functions") or {},
        policies=said.get("policies") or {},
        decisions=_decisions(runs[0].root),
    )


def _decisions(root: Folder) -> str:
    """Return the values that a model has decided for a shard, as JSON; empty for none."""
    is_there = root.kind(DECISIONS) == "file"
    return _file(root, DECISIONS).decode("utf-8", "replace") if is_there else ""


def _file(root: Folder, name: str) -> bytes:
    with root.read(name) as file:
        return file.read()


def _stages(first: ShardRun) -> StageTables:
    """Return the tables of stages, as far as the metadata of a run names them."""
    said = first.metadata
    tables = tuple(
        StageTable(folder, one["stage"], tuple(one["place"]), (), tuple(one.get("arms", ())))
        for folder, one in said["stages"].items()
    )
    own = {name: one for name, one in said["parts"].items() if name not in first.tables}
    return StageTables(tables, own)


def _spent(journal: Journal, runs: Sequence[ShardRun]) -> None:
    """Record what all shards have cost."""
    spent: dict[str, Any] = {}
    for one in runs:
        for model, cost in one.spent.items():
            spent[model] = plus(spent.get(model, ZERO), cost)
    journal.record({}, spent)


def _counts(output: Output, runs: Sequence[ShardRun]) -> None:
    output.inputs = runs[0].metadata[SHARD]["input_hash"]
    for one in runs:
        note = one.note
        output.rows += note["rows"]
        output.failed += note["failed"]
        output.spend(Usages.noted(note["usages"]))
        output.events += Counter(note["stepped_in"])
        output.left_out += Counter(note["left_out"])
        for stage, parts in note["unkept"].items():
            output.unkept.setdefault(stage, {}).update(dict.fromkeys(parts))


def _addresses(runs: Sequence[ShardRun]) -> dict[str, Any]:
    """Return what each address of a model with several has done in all shards, as JSON."""
    found: dict[str, dict[str, Counter[str]]] = {}
    for run in runs:
        for model, several in run.metadata.get("addresses", {}).items():
            for one in several:
                counts = {name: one[name] for name in ("requests", "failed")}
                found.setdefault(model, {}).setdefault(one["url"], Counter()).update(counts)
    return {
        model: [{"url": url, **counts} for url, counts in each.items()]
        for model, each in found.items()
    }


def _redrawn(runs: Sequence[ShardRun]) -> dict[str, Any]:
    """Return how often failed rows were resampled; equal rows of two shards as often as one."""
    found: dict[str, dict[str, int]] = {}
    for run in runs:
        for row, arms in run.redrawn.items():
            mine = found.setdefault(row, {})
            for arm, count in arms.items():
                mine[arm] = max(mine.get(arm, 0), count)
    return found


def _tables(output: Output, runs: Sequence[ShardRun]) -> None:
    """Write all tables, one after another."""
    rows = output.rows
    names = {name for run in runs for name in run.note["tables"]}
    of_parts = {folder for run in runs for folder in run.tables.values()}
    failed = by_row(_lines(runs, ERRORS), rows) if output.skip else iter(())
    _fill(output, _RESULTS, by_turns(_lines(runs, _RESULTS), rows, failed))
    for name in sorted(names - of_parts - {_RESULTS}):
        _fill(output, name, by_row(_lines(runs, name), rows))
    for name, folder in _parts(runs, {_RESULTS, "answers", *output.stages.folders}).items():
        lines = [of_folder(one.root, one.tables.get(name, "")) for one in runs]
        _fill(output, folder, by_row(lines, rows))
        output.folders[name] = folder


def _lines(runs: Sequence[ShardRun], name: str) -> list[Table]:
    of = of_root if name in ROOT else of_folder
    return [of(one.root, name) for one in runs]


def _parts(runs: Sequence[ShardRun], taken: set[str]) -> dict[str, str]:
    """Return the folders of named parts, in the order in which one run would come to them."""
    seen: dict[str, tuple[float, int]] = {}
    for run in runs:
        for at, (name, folder) in enumerate(run.tables.items()):
            mine = of_folder(run.root, folder).first_row(), at
            seen[name] = min(seen.get(name, mine), mine)
    found: dict[str, str] = {}
    for name in sorted(seen, key=lambda one: seen[one]):
        found[name] = folder_name(name, {*taken, *found.values()})
    return found


def _fill(output: Output, name: str, lines: Iterator[tuple[int, bytes]]) -> None:
    """Write the lines of a table into its parts; the part of the last row stays open."""
    table, open_part = output.table(name), ""
    for row, line in lines:
        part = output.part(name, row - 1)
        if open_part not in ("", part):
            table.roll(open_part)
        open_part = part
        table.add_lines(line.decode(), part)
    if open_part not in ("", output.part(name, max(output.rows - 1, 0))):
        table.roll(open_part)

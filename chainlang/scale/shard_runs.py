"""Finished shards of one run, read from their folders, and checked to be of the same run."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from chainlang.diagnostics.render import shown
from chainlang.errors import ChainlangError, error_of
from chainlang.scale.journals import Journals
from chainlang.session.about_run import MARK
from chainlang.settings import Shard
from chainlang.store.cleanup import JOURNAL
from chainlang.store.identity import SHARD, TEXTS, of_shards, text_difference
from chainlang.store.journal import SPENT
from chainlang.store.resume import MERGED, OUTPUT, PART, RUN
from chainlang.store.retry_failed import REDRAWN
from chainlang.store.safe_files import Folder
from chainlang.store.stored_results import is_run, no_run

_OWN = {RUN, OUTPUT, PART, REDRAWN, SPENT, MERGED, MARK}
"""Notes of a journal that shards do not have in common."""
_ALIKE = ("layout", "skip", "with_candidates")
"""Fields of the notes that are equal in all shards."""


@define(eq=False)
class ShardRun:
    """A finished shard in its folder, which is open and locked until `close`."""

    root: Folder
    shard: Shard
    metadata: Mapping[str, Any]
    identity: Mapping[str, Any]
    """Identity of its run."""
    note: Mapping[str, Any]
    """State of its output."""
    redrawn: Mapping[str, Any]
    spent: Mapping[str, Any]
    others: Mapping[str, Any] = field(factory=dict)
    """Notes of its journal that it has in common with the other shards."""
    is_private: bool = False
    """Whether its journal can be read by its owner alone, or is in a database."""

    @staticmethod
    def open(path: Path, journals: Journals) -> ShardRun:
        """Open the folder of a shard. Raises `SourceError` for any other, or if it is not done."""
        if not is_run(path):
            raise no_run(path, "not a run folder" if path.exists() else "no such folder")
        root = Folder.open(path)
        try:
            root.lock()
            return _opened(root, journals)
        except BaseException:
            root.close()
            raise

    def close(self) -> None:
        """Close and unlock the folder."""
        self.root.close()

    @property
    def tables(self) -> Mapping[str, str]:
        """The folders of its tables of named parts, by the names of the parts."""
        folders: Mapping[str, str] = self.note["folders"]
        return folders


def shard_folders(folder: Path) -> list[Path]:
    """Return the folders of the shards in the folder of a run, in their order."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(one for one in found if Shard.named(one.name) and one.is_dir())


def _opened(root: Folder, journals: Journals) -> ShardRun:
    metadata = _metadata(root)
    with journals.of(root, metadata) as journal:
        identity = journal.note(RUN, chain=str, plan=str, seed=int, models=dict, settings=dict)
        note = journal.note(OUTPUT, rows=int, tables=dict, folders=dict)
        redrawn, spent = journal.note(REDRAWN) or {}, journal.spent
        others = {name: one for name, one in journal.notes("").items() if name not in _OWN}
    shard = Shard.of_text((identity or {}).get(SHARD))
    if shard is None:
        what = f"{root.path}: this run is not a shard"
        raise error_of("file", what, "chainlang run ... --shard 1/2 makes one")
    again = f"run it to its end: the same command, with --shard {shard}"
    if metadata.get("status") != "complete" or note is None:
        raise error_of("file", f"{root.path}: shard {shard} is not complete", again)
    is_private = True
    if root.kind(JOURNAL) == "file":
        with root.read(JOURNAL) as file:
            is_private = not os.fstat(file.fileno()).st_mode & 0o077
    return ShardRun(root, shard, metadata, identity, note, redrawn, spent, others, is_private)


def _metadata(root: Folder) -> Mapping[str, Any]:
    if root.kind("metadata.json") != "file":
        return {}
    with root.read("metadata.json") as file:
        try:
            found = json.load(file)
        except ValueError as error:
            raise error_of("file", f"{root.path}/metadata.json: not JSON") from error
    return found if isinstance(found, dict) else {}


def check(shards: Sequence[ShardRun]) -> None:
    """Raise `SourceError` unless these are all shards of one run over one input, each once."""
    first = shards[0]
    _check_numbers(shards)
    for one in shards[1:]:
        found = of_shards(first.identity, one.identity)
        if found:
            said = [
                f"the {name} differs"
                if name in TEXTS
                else f"{name} is {shown(was, 200)} and {shown(other, 200)}"
                for name, was, other in found
            ]
            raise _apart(first, one, "; ".join(said), text_difference(found))
        for name in ("input_rows", "input_hash"):
            values = [run.metadata[SHARD].get(name) for run in (first, one)]
            if values[0] != values[1]:
                what = "rows" if name == "input_rows" else "contents"
                raise _apart(first, one, f"{what} of the input are {_both(values)}")
        for name in _ALIKE:
            values = [run.note.get(name) for run in (first, one)]
            if values[0] != values[1]:
                raise _apart(first, one, f"{name} is {_both(values)}")
        for name in first.others.keys() | one.others.keys():
            values = [run.others.get(name) for run in (first, one)]
            if values[0] != values[1]:
                raise _apart(first, one, f"the note {name!r} is {_both(values)}")
    total = first.metadata[SHARD].get("input_rows")
    for one in shards:
        expected = one.shard.rows(total) if isinstance(total, int) else None
        if one.note["rows"] != expected:
            what = f"{one.root.path}: {one.note['rows']:,} rows, not the {expected} of its shard"
            raise error_of("file", what, f"run it again, with --shard {one.shard}")


def _both(values: Iterable[Any]) -> str:
    return " and ".join(shown(one, 200) for one in values)


def _apart(
    first: ShardRun, one: ShardRun, what: str, lines: tuple[str, ...] = ()
) -> ChainlangError:
    where = f"{first.root.path} and {one.root.path}"
    hint = "run all shards with the same chain, settings and rows"
    return error_of("file", f"{where} are shards of different runs: {what}", hint, lines=lines)


def _check_numbers(shards: Sequence[ShardRun]) -> None:
    first = shards[0].shard
    seen: dict[int, ShardRun] = {}
    for one in shards:
        if one.shard.of != first.of:
            what = f"{first} and {one.shard} are not shards of one run"
            raise error_of("file", f"{one.root.path}: {what}", "name the folders of one run alone")
        if one.shard.number in seen:
            twice = seen[one.shard.number].root.path
            what = f"{twice} and {one.root.path} are both shard {one.shard}"
            raise error_of("file", what, "name each shard once")
        seen[one.shard.number] = one
    missing = [number for number in range(1, first.of + 1) if number not in seen]
    if missing:
        some = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        verb = "shard is" if len(missing) == 1 else "shards are"
        what = f"{len(missing):,} of {first.of:,} {verb} missing: {some}"
        hint = f"run it: the same command, with --shard {missing[0]}/{first.of}"
        raise error_of("file", what, hint)

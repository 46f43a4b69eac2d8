"""Folders of a merge: those of the shards, and that of the merged run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from chainlang.errors import error_of
from chainlang.scale.shard_runs import shard_folders
from chainlang.settings import Shard
from chainlang.store.cleanup import DECISIONS, JOURNAL, clear, is_of_shards, removable
from chainlang.store.identity import differences
from chainlang.store.journal import Journal
from chainlang.store.resume import MERGED, OUTPUT, RUN
from chainlang.store.safe_files import Folder, is_there
from chainlang.store.stored_results import is_run


def folders_of(
    shards: str | PathLike[str] | Sequence[str | PathLike[str]], out: str | PathLike[str] | None
) -> tuple[list[Path], Path]:
    """Return the folders of the shards, and that of the merged run.

    Raises `SourceError` for paths that are no such folders, or the same one twice.
    """
    found, home = _folders(shards, out)
    seen = set[Path]()
    for one in found:
        path = one.resolve()
        if path == home.resolve():
            what = f"{one}: a shard can't be the folder of the merged run"
            raise error_of("file", what, "name another folder: -o FOLDER")
        if path in seen:
            raise error_of("file", f"{one} is named twice", "name each shard once")
        seen.add(path)
    return found, home


def _folders(
    shards: str | PathLike[str] | Sequence[str | PathLike[str]], out: str | PathLike[str] | None
) -> tuple[list[Path], Path]:
    if isinstance(shards, str | PathLike):
        one = Path(fspath(shards))
        found = shard_folders(one)
        if not found:
            what, hint = "no such folder", "chainlang run ... -o FOLDER --shard 1/2 makes one"
            if Shard.named(one.name) and is_run(one):
                what, hint = "this is one shard", f"name the folder of all: {one.parent}"
            elif one.is_dir():
                what = "no shard in this folder"
            raise error_of("file", f"{one}: {what}", hint)
        return found, one if out is None else Path(out)
    several = [Path(fspath(one)) for one in shards]
    if not several:
        raise error_of("file", "no folder of a shard is named")
    if out is None:
        hint = "name it: -o FOLDER, in Python merge(shards, out)"
        raise error_of("file", "several folders need one for the merged run", hint)
    return several, Path(out)


def hold_replaceable(home: Path, *, overwrite: bool) -> None:
    """Raise `SourceError` if a folder has a run that merging would not replace, or other files."""
    if is_there(home):
        root = Folder.open(home)
        try:
            root.lock()
            if _names(root):
                removable(root, overwrite=overwrite or _is_merged(root))
        finally:
            root.close()


def _names(root: Folder) -> list[str]:
    """Return the names in a folder but for those of shards."""
    return [name for name in root.names() if not is_of_shards(root, name)]


def _is_merged(root: Folder, identity: Mapping[str, Any] | None = None, rows: int = 0) -> bool:
    """Return whether the run in a folder is a merged one, or a merge that was not completed.

    With `identity` it has to be an equal run, with as many `rows` at most.
    """
    if root.kind(JOURNAL) != "file":
        return False
    journal = Journal.open(root)
    try:
        before, note = journal.note(RUN) or {}, journal.note(OUTPUT) or {}
        is_merged = bool(journal.note(MERGED)) or not before
    finally:
        journal.close()
    if identity is None or not before:
        return is_merged
    return is_merged and not differences(before, identity) and note.get("rows", 0) <= rows


def make_room(
    root: Folder, identity: Mapping[str, Any] | None, rows: int, *, overwrite: bool
) -> None:
    """Remove an earlier merged run; raise `SourceError` for what may not be removed."""
    if is_of_shards(root, DECISIONS):  # that of the shards takes its place, if they have one
        root.remove(DECISIONS)
    if _names(root):
        clear(root, overwrite=overwrite or _is_merged(root, identity, rows))

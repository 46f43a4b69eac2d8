"""Removal of the run in a folder: its own files, and never anything else."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NoReturn

from chainlang.errors import error_of
from chainlang.settings import Shard
from chainlang.store.io_errors import file_errors
from chainlang.store.safe_files import TEMPORARY, Folder
from chainlang.store.table_formats import FORMATS

JOURNAL = "journal.sqlite"
OF_JOURNAL = (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm", f"{JOURNAL}-journal")
"""Files of a journal."""
SCORES, EVALUATION = "scores.jsonl", "evaluation.json"
"""Files that an evaluation adds to a run."""
_GRAPH = "graph.json"
DECISIONS = "auto.json"
"""File of the values that a model has decided before the first row."""
_TABLES = ("errors.jsonl", "errors.rows", "events.jsonl", "events.rows")
_FILES = (_GRAPH, "plan.txt", DECISIONS, "metadata.json", SCORES, EVALUATION, *_TABLES)
_OWN = {*OF_JOURNAL, *_FILES, *(name + TEMPORARY for name in _FILES)}
_PART = re.compile(rf"\d{{3,}}\.({'|'.join(FORMATS)}|rows)(\{TEMPORARY})?\Z")
_MARK = b'"chainlang"'  # in what `to_json` writes


def clear(
    root: Folder, *, overwrite: bool, keep: Collection[str] = (), is_known: bool = False
) -> None:
    """Prepare a folder for a run: remove the run that it contains, if any.

    `keep` lists files to keep, as ``name`` or ``folder/name``, and the names of their folders.
    With `is_known` a database has the journal of a run in this folder, so that its other files
    count as those of a run. Raises `SourceError`, without removing anything, if the folder contains
    other files, or a run and `overwrite` is false.
    """
    parts = removable(root, overwrite=overwrite, is_known=is_known)
    # The graph is removed last, so that a half-cleared folder still counts as one of a run; the
    # journal is removed first, so that it never mentions files that are gone.
    for name in sorted(parts, key=lambda one: (one.startswith(_GRAPH), one not in OF_JOURNAL)):
        if parts[name]:
            with root.inside(name) as folder:
                for part in parts[name]:
                    if f"{name}/{part}" not in keep:
                        folder.remove(part)
        if name not in keep:
            root.remove(name)


def removable(root: Folder, *, overwrite: bool, is_known: bool = False) -> dict[str, list[str]]:
    """Return the files and folders that `clear` removes, each folder with its files."""
    found = root.names()
    names = [name for name in found if not is_of_shards(root, name)]
    if not names and not any(is_shard(root, name) for name in found):
        return {}
    with file_errors(root.path):
        if not (is_known or _holds_run(root)):
            what, hint = "is not empty, and contains no run", "name a new folder"
            if not names:
                what = "contains shards of a run"
                hint = f"to make one folder of them: chainlang merge {root.path}"
            raise error_of("file", f"{root.path}: this folder {what}", hint)
        if not overwrite:
            what, hint = "", "name a new folder, or replace the run: --overwrite, in Python "
            hint += "overwrite=True"
            if root.kind(JOURNAL) != "file":
                what = ", whose journal is not in it"
                hint = f"name the database that it is in, with store=...; or {hint}"
            raise error_of("file", f"{root.path}: this folder contains a run{what}", hint)
        return {name: _parts(root, name) for name in names}


def is_shard(root: Folder, name: str) -> bool:
    """Return whether a name in the folder of a run is the folder of one of its shards."""
    return Shard.named(name) is not None and root.kind(name) == "folder"


def is_of_shards(root: Folder, name: str) -> bool:
    """Return whether a name in the folder of a run is of its shards: a folder, or their values."""
    if name != DECISIONS or root.kind(name) != "file" or root.kind(JOURNAL) or root.kind(_GRAPH):
        return is_shard(root, name)
    with root.read(name) as file:
        return _MARK in file.read(200)


def _holds_run(root: Folder) -> bool:
    if root.kind(JOURNAL) == "file":  # it is created first
        return True
    if root.kind(_GRAPH) == "file":
        with root.read(_GRAPH) as file:
            return _MARK in file.read(200)
    return root.kind(_GRAPH + TEMPORARY) == "file"  # killed while writing the first file


def _parts(root: Folder, name: str) -> list[str]:
    """Return the files in a folder of a run; empty for a file. Refuses files of other programs."""
    kind = root.kind(name)
    if kind == "folder":
        with root.inside(name) as folder:
            for part in folder.names():
                if not _PART.match(part) or folder.kind(part) != "file":
                    _foreign(root, f"{name}/{part}")
            return folder.names()
    if kind != "file" or name not in _OWN:
        _foreign(root, name)
    return []


def _foreign(root: Folder, name: str) -> NoReturn:
    what = f"{name} is not a file of a run, so this folder is not overwritten"
    raise error_of("file", f"{root.path}: {what}", "move it away, or name a new folder")

"""Progress of runs and of shards, read from their folders while they run. Nothing is changed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import field, frozen

from chainlang.errors import error_of
from chainlang.protocol.messages import Usage
from chainlang.settings import Shard
from chainlang.store.cleanup import JOURNAL
from chainlang.store.resume import OUTPUT
from chainlang.store.sample_codec import fits
from chainlang.store.stored_results import read_metadata


@frozen
class ShardProgress:
    """Progress of a shard, by the last note of its output, which is some seconds old at most."""

    shard: Shard
    status: str
    """As in its `metadata.json`; "running or killed" without one, "not started" without a run."""
    rows: int = 0
    failed: int = 0
    usage: Usage = field(factory=Usage)


@frozen
class Noted:
    """Progress of a run, at the last note in its journal."""

    rows: int = 0
    failed: int = 0
    usage: Usage = field(factory=Usage)
    samples: int = 0
    """Number of samples in the journal, which a run that resumes does not ask for again."""


UNKNOWN = "running or killed"
"""Status of a run without an end: another process runs it, or it was killed."""


def noted(folder: Path) -> Noted | None:
    """Return what the journal in a folder says of its run; None if there is none in it."""
    path = folder / JOURNAL
    if not path.is_file():
        return None
    note, samples = _note(path)
    usage = Usage.of_json(note["usage"]) if note else Usage()
    return Noted(int(note.get("rows", 0)), int(note.get("failed", 0)), usage, samples)


def progress_of(folders: Iterable[Path]) -> list[ShardProgress]:
    """Return the progress of each shard; those whose folder is missing are not started."""
    found: dict[Shard, ShardProgress] = {}
    for one in folders:
        shard = Shard.named(one.name)
        if shard is not None:
            found[shard] = _progress(one, shard)
    of = max((one.of for one in found), default=0)
    every = (Shard(number, of) for number in range(1, of + 1))
    return [found.get(one) or ShardProgress(one, "not started") for one in every]


def _progress(folder: Path, shard: Shard) -> ShardProgress:
    """Return the progress of a shard; one that is resumed has the status of its last end."""
    said = read_metadata(folder)
    one = noted(folder) or _said(said)
    return ShardProgress(shard, said.get("status", UNKNOWN), one.rows, one.failed, one.usage)


def _said(found: Mapping[str, Any]) -> Noted:
    """Return what the metadata of a run say, whose journal may be in a database."""
    try:
        rows = found["rows"]
        return Noted(rows["read"], rows["failed"], Usage.of_json(found["usage"]))
    except (ValueError, KeyError, TypeError):
        return Noted()


def _note(path: Path) -> tuple[Mapping[str, Any], int]:
    """Return the note of an output in a journal that may be open elsewhere, and its samples."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    question = "SELECT entry, sum FROM notes WHERE name = ?"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            row = connection.execute(question, [OUTPUT]).fetchone()
            (samples,) = connection.execute("SELECT count(*) FROM samples").fetchone()
    except sqlite3.Error as error:
        raise error_of("file", f"{path}: {error}") from error
    if row is None or not fits(OUTPUT.encode(), *row):
        return {}, samples
    found = json.loads(row[0])
    return found if isinstance(found, dict) else {}, samples

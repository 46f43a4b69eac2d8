"""Results of a finished run, read from its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from chainlang.data import read_rows
from chainlang.diagnostics.suggest import suggest
from chainlang.errors import ChainlangError, error_of
from chainlang.settings import Shard
from chainlang.store.flatten import OWN

GRAPH, METADATA = "graph.json", "metadata.json"


@frozen
class StoredResult:
    """The result of one row, as the tables of a run have it."""

    row: int
    """Position of the row in its source, from 1."""
    id: str
    fields: Mapping[str, Any] = field(hash=False)
    """Fields and columns of the row."""
    outputs: Mapping[str, Any] = field(hash=False)
    """``answer``, and the other outputs."""
    error: str | None
    """Why the row failed; None if it succeeded."""


def is_run(folder: Path) -> bool:
    """Return whether a path is the folder of a run."""
    return (folder / GRAPH).is_file()


def metadata_of(folder: Path) -> dict[str, Any]:
    """Return what ``metadata.json`` says of a finished run.

    Raises `SourceError` for a path that is no run folder, and for a run that is not complete.
    """
    if not is_run(folder):
        raise no_run(folder, "not a run folder" if folder.exists() else "no such folder")
    found = read_metadata(folder)
    if found.get("status") != "complete":
        what = f"{folder}: this run is not complete"
        raise error_of("file", what, "run the same command again, which resumes it")
    return found


_SHAPES = {"status": str, "chain": str, "rows": dict, "usage": dict, "events": dict, "models": dict}


def read_metadata(folder: Path) -> dict[str, Any]:
    """Return what ``metadata.json`` says of a run; empty without one, as while it runs.

    Raises `SourceError` for a file that can't be read, or has no metadata.
    """
    path = folder / METADATA
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise error_of("file", f"{path}: {error.strerror}") from error
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(
        isinstance(found[name], shape) for name, shape in _SHAPES.items() if name in found
    ):
        raise error_of("file", f"{path}: not the metadata of a run")
    return found


def no_run(folder: Path, why: str) -> ChainlangError:
    """Return the error of a path that is not a run folder."""
    if any(Shard.named(one.name) for one in folder.glob("shard-*")):
        what = f"{folder}: this folder has shards of a run, which are not merged"
        hint = f"to go on, run the same command again; to merge them: chainlang merge {folder}"
        return error_of("file", what, hint)
    found = folder.parent.glob("*/graph.json") if folder.parent.is_dir() else ()
    beside = [one.parent.name for one in found if one.parent != folder]
    hint = suggest(folder.name, beside, None) or "chainlang run ... -o FOLDER makes one"
    return error_of("file", f"{folder}: {why}", hint)


def stored_results(folder: Path) -> Iterator[StoredResult]:
    """Yield the results of a finished run, in the order of its rows.

    Raises `SourceError` if the run is not complete, or has left out failed rows.
    """
    found = metadata_of(folder)
    outputs = found.get("outputs")
    if outputs is None:
        what = f"{folder}: an earlier version made this run, without the names of its outputs"
        raise error_of("file", what, "run the chain again into another folder")
    names, count = {*outputs}, 0
    for count, row in enumerate(read_rows(folder / "flattened"), 1):
        fields = dict(row.fields)
        identity, error = fields.pop("id"), fields.pop("error", None)
        # A failed row has no output but an empty answer, so a column of another output's name is
        # one of the rows.
        own = outputs if error is None else ("answer",)
        made = {name: fields.pop(name) for name in own if name in fields}
        plain = {_own_name(name, names): value for name, value in fields.items()}
        yield StoredResult(count, str(identity), plain, made, error or None)
    if count != found["rows"]["read"]:
        what = f"{folder}: the table has {count:,} of {found['rows']['read']:,} rows"
        raise error_of("file", what, "run it without on_error='skip', which leaves out failed rows")


def _own_name(column: str, outputs: set[str]) -> str:
    """Return the name that a column has in the rows: ``input.`` marks one that an output has."""
    name = column
    while name.startswith("input."):
        name = name.removeprefix("input.")
        if name in outputs or name in OWN:
            return name
    return column

"""Facts of run folders for the shell: what their metadata, graphs and journals say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chainlang.api.chain import Chain
from chainlang.data import BadRow, read_rows
from chainlang.errors import ChainlangError, error_of
from chainlang.scale.progress import UNKNOWN, noted
from chainlang.store.stored_results import is_run, no_run, read_metadata


def listed(folder: Path) -> dict[str, Any]:
    """Return what a run folder says of its run; of one that can't be read, why."""
    try:
        return facts_of(folder)
    except ChainlangError as error:
        why = error.diagnostics[0].message
        return {"folder": str(folder), "status": "unreadable", "stopped": why} | _UNREADABLE


_UNREADABLE: dict[str, Any] = {"chain": None, "rows": None}


def facts_of(folder: Path) -> dict[str, Any]:
    """Return what `metadata.json` and `graph.json` say of a run."""
    found = read_metadata(folder)
    chain = found.get("chain")
    if chain is None:
        chain = str(Chain.from_json((folder / "graph.json").read_text("utf-8", "replace")))
    so_far = noted(folder) if not found else None
    if so_far is not None:
        found = {
            "rows": {"read": so_far.rows, "failed": so_far.failed},
            "usage": so_far.usage.as_json(),
            "samples": so_far.samples,
        }
    return {
        "folder": str(folder),
        "status": found.get("status", UNKNOWN),
        "stopped": found.get("stopped"),
        "chain": chain,
        "rows": found.get("rows"),
        "usage": found.get("usage"),
        "samples": found.get("samples"),
        "cost_by_model": found.get("cost_by_model") or {},
        "seconds": found.get("seconds"),
        "started": found.get("started"),
        "events": found.get("events") or {},
        "models": [*found.get("models", {})],
    }


def checked(folder: Path) -> Path:
    """Return a run folder. Raises `SourceError` for any other path."""
    if not is_run(folder):
        raise no_run(folder, "not a run folder" if folder.exists() else "no such folder")
    return folder


def answers_of(folder: Path) -> dict[str, Any]:
    """Return the answers of a run by the ids of its rows, and branches."""
    found: dict[str, Any] = {}
    for row in _lines(folder / "answers"):
        if not row.get("candidate"):
            branch = f" {row['branch']}" if row.get("branch") else ""
            found[f"{row['id']}{branch}"] = row.get("answer")
    return found


def _lines(folder: Path) -> Iterator[Mapping[str, Any]]:
    parts = sorted(folder.glob("*.jsonl"), key=lambda one: int(one.stem))
    if not parts:
        hint = "only runs with the format jsonl, which have finished rows, can be compared"
        raise error_of("file", f"{folder}: no .jsonl file", hint)
    for row in read_rows(parts):
        if isinstance(row, BadRow):
            raise error_of("file", f"{row.file}, line {row.number}: {row.message}")
        yield row.fields

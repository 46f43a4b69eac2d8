"""The states of a run into a folder: how each is reached, and what the same call does then."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import RowError, StopError
from chainlang.protocol.messages import Failure, Request
from chainlang.runtime.outcome import Outcome
from chainlang.session.summary import Interrupted, Summary

ROWS = [f"question {number}" for number in range(6)]


def run(out: Path, rows: list[str] = ROWS, **settings: Any) -> Summary:
    settings = {"engine": FakeEngine(), "window": 1, **settings}
    return chain("2:E >> M").run(rows, out, **settings)


def said(out: Path) -> dict[str, Any] | None:
    file = out / "metadata.json"
    return json.loads(file.read_text()) if file.exists() else None


def results(out: Path) -> bytes:
    return (out / "flattened/000.jsonl").read_bytes()


def fails(request: Request) -> Failure | None:
    return Failure("", "engine", "planted") if "question 3" in str(request.messages) else None


def pressed(outcome: Outcome, _: float | None) -> None:
    if outcome.index == 3:
        raise KeyboardInterrupt


ENDS: dict[str, tuple[str, type[BaseException], Callable[[], dict[str, Any]]]] = {
    "a budget": ("stopped", StopError, lambda: {"run_calls": 7}),
    "a row": (
        "interrupted",
        RowError,
        lambda: {"engine": FakeEngine(failures=fails), "on_error": "raise"},
    ),
    "Ctrl-C": ("interrupted", Interrupted, lambda: {"on_row": pressed}),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_run_that_ends_early_is_marked_and_resumes(tmp_path: Path, end: str) -> None:
    status, error, settings = ENDS[end]
    run(tmp_path / "whole")
    out = tmp_path / "out"
    with pytest.raises(error) as caught:
        run(out, **settings())
    metadata = said(out)
    assert metadata is not None
    assert metadata["status"] == status
    assert 0 < metadata["rows"]["read"] < len(ROWS)
    assert ("stopped" in metadata) == (status == "stopped")
    if isinstance(caught.value, StopError | Interrupted):
        assert caught.value.summary.rows == metadata["rows"]["read"]
    assert run(out).rows == len(ROWS)
    assert results(out) == results(tmp_path / "whole")


def test_a_run_that_goes_on_has_no_metadata_until_it_ends(tmp_path: Path) -> None:
    seen: list[object] = []
    for _ in range(2):
        run(tmp_path, on_row=lambda *_: seen.append(said(tmp_path)), overwrite=True)
        metadata = said(tmp_path)
        assert metadata is not None
        assert metadata["status"] == "complete"
    assert seen == [None] * 2 * len(ROWS)


def test_a_run_that_is_complete_takes_rows_that_are_new(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    run(tmp_path / "out", ROWS[:4])
    indices: list[int] = []
    summary = run(tmp_path / "out", on_row=lambda outcome, _: indices.append(outcome.index))
    assert indices == [4, 5]
    assert (summary.rows, summary.recorded) == (6, 8)
    assert results(tmp_path / "out") == results(tmp_path / "whole")

"""Results in a folder, which no rerun shortens without a word."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import SourceError
from tests.store.test_folder import files

ROWS = [{"id": f"r{number}", "query": f"What is {number} + 1?"} for number in range(5)]
WIDE = "E(max_tokens=9)"


def ran(path: Path, rows: Any = ROWS, text: str = "E", **settings: Any) -> Any:
    return chain(text).run(rows, path, engine=FakeEngine(), **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"format": "csv"},
        {"on_error": "skip"},
        {"changed": True},
        {"retry_failed": True},
        {"text": WIDE},
        {"text": "J", "changed": True},
    ],
)
@pytest.mark.parametrize("limit", [1, 4])
def test_a_limit_below_what_is_there_is_refused(
    tmp_path: Path, settings: dict[str, Any], limit: int
) -> None:
    ran(tmp_path)
    before = files(tmp_path)
    with pytest.raises(SourceError, match="has the results of 5 rows, and limit=") as caught:
        ran(tmp_path, limit=limit, **settings)
    assert "--limit 5, in Python limit=5" in str(caught.value)
    assert files(tmp_path) == before


@pytest.mark.parametrize("limit", [5, 6, None])
@pytest.mark.parametrize("settings", [{"format": "csv"}, {"text": WIDE}, {"changed": True}])
def test_any_other_limit_is_not(tmp_path: Path, limit: int | None, settings: Any) -> None:
    ran(tmp_path)
    assert ran(tmp_path, limit=limit, **settings).rows == 5


def test_a_limit_that_is_raised_adds_rows(tmp_path: Path) -> None:
    ran(tmp_path, limit=2)
    summary = ran(tmp_path, limit=4, format="parquet")
    assert (summary.rows, summary.recorded) == (4, 2)


def test_a_stopped_run_is_not_shortened(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="run_calls=3"):
        ran(tmp_path, run_calls=3, window=1)
    with pytest.raises(SourceError, match="has the results of 3 rows"):
        ran(tmp_path, limit=2)


def test_overwrite_is_a_word(tmp_path: Path) -> None:
    ran(tmp_path)
    assert ran(tmp_path, limit=1, overwrite=True).rows == 1


def each(rows: list[dict[str, str]]) -> Any:
    yield from rows


SOURCES: list[Callable[[list[dict[str, str]]], Any]] = [list, each, iter]


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "settings", [{"format": "csv"}, {"text": WIDE}, {"retry_failed": True}, {"on_error": "skip"}]
)
@pytest.mark.parametrize("rows", [ROWS[:2], ROWS[1:], [*ROWS[:4], {"id": "x", "query": "y"}]])
def test_an_input_without_the_rows_that_are_there_is_refused(
    tmp_path: Path, source: Callable[..., Any], settings: dict[str, Any], rows: Any
) -> None:
    ran(tmp_path, source(ROWS))
    before = files(tmp_path)
    with pytest.raises(SourceError, match="the first 5 rows of the input are not those"):
        ran(tmp_path, source(rows), **settings)
    assert files(tmp_path) == before


@pytest.mark.parametrize("source", SOURCES)
def test_rows_that_are_read_ahead_are_run(tmp_path: Path, source: Callable[..., Any]) -> None:
    ran(tmp_path / "run", source(ROWS[:3]))
    summary = ran(tmp_path / "run", source(ROWS), format="csv")
    assert (summary.rows, summary.recorded) == (5, 3)
    ran(tmp_path / "fresh", source(ROWS), format="csv")
    table = "flattened/000.csv"
    assert files(tmp_path / "run")[table] == files(tmp_path / "fresh")[table]

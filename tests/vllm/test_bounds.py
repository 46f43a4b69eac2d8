"""Raised bounds on vLLM: exactly what was cut is sampled again, and all is as in a new run."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain, tiny
from chainlang.engines.protocol import Engine
from chainlang.engines.vllm.engine import VllmEngine
from tests.store.test_folder import files

ROWS = [{"id": f"r{number}", "query": f"What is {number} + {number}?"} for number in range(6)]
LONG = {"id": "long", "query": "What is 1 + 1? " * 24}


def tables(path: Path) -> dict[str, bytes]:
    return {name: data for name, data in files(path).items() if name.endswith(".jsonl")}


def cut(path: Path) -> int:
    """Return the number of cut samples in a journal."""
    with closing(sqlite3.connect(path / "journal.sqlite")) as database:
        entries = database.execute("SELECT entry FROM samples").fetchall()
    return sum(json.loads(entry)[1]["finish"] == "length" for (entry,) in entries)


def ran(path: Path, text: str, rows: list[dict[str, str]], engine: Engine) -> Any:
    """Run a chain; return the summary, and the calls of the engine."""
    before = engine.metrics.usage.calls
    summary = chain(text).run(rows, path, engine=engine)
    return summary, engine.metrics.usage.calls - before


@pytest.fixture
def short() -> Iterator[Engine]:
    """Yield the bundled model with a context of 96 tokens."""
    engine = VllmEngine(tiny.path(), max_model_len=96, max_num_seqs=8)
    yield engine
    engine.close()


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("3:E:m:1(max_tokens=2)", "3:E:m:1(max_tokens=64)"),
        ("E:m >> J:m:1(max_tokens=12)", "E:m >> J:m:1(max_tokens=200)"),
    ],
)
def test_a_larger_max_tokens_samples_what_was_cut(
    tmp_path: Path, tiny_engine: Engine, before: str, now: str
) -> None:
    _, drawn = ran(tmp_path / "run", before, ROWS, tiny_engine)
    missing = cut(tmp_path / "run")
    assert missing > 0
    second, redrawn = ran(tmp_path / "run", now, ROWS, tiny_engine)
    assert (redrawn, second.recorded) == (missing, drawn - missing)
    ran(tmp_path / "fresh", now, ROWS, tiny_engine)
    assert tables(tmp_path / "run") == tables(tmp_path / "fresh")


def test_a_larger_context_samples_the_row_that_was_too_long(
    tmp_path: Path, short: Engine, tiny_engine: Engine
) -> None:
    rows = [*ROWS, LONG]
    first, drawn = ran(tmp_path / "run", "5:E:m:0.7 >> M", rows, short)
    assert (first.failed, drawn, cut(tmp_path / "run")) == (1, 5 * len(ROWS), 0)
    second, redrawn = ran(tmp_path / "run", "5:E:m:0.7 >> M", rows, tiny_engine)
    assert (second.failed, redrawn, second.recorded) == (0, 5, drawn)
    ran(tmp_path / "fresh", "5:E:m:0.7 >> M", rows, tiny_engine)
    assert tables(tmp_path / "run") == tables(tmp_path / "fresh")

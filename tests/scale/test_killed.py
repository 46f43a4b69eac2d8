"""Shards that are killed with -9 in the middle, resumed and merged: the bytes of one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scale.killed import split
from tests.scale.shards import BRANCHED, engine, rows, written


@pytest.mark.quick(1)
@pytest.mark.parametrize("count", [2, 7])
def test_shards_that_were_killed_are_one_run(tmp_path: Path, count: int) -> None:
    source = written(tmp_path / "rows.jsonl", rows(120))
    BRANCHED.run(source, tmp_path / "one", engine=engine())
    split(source, tmp_path / "one", tmp_path / "a", count, 120, "kills")

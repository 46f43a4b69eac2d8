"""How many rows there will be, as far as it is known while they are read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from chainlang.data import Extent, read_rows


def expectations(source: Any) -> tuple[Extent, list[float | None]]:
    """Return what was expected after each row."""
    extent = Extent()
    return extent, [extent.expected() for _ in read_rows(source, extent=extent)]


def test_a_file_of_lines_is_judged_by_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("".join(json.dumps({"query": f"{n:09}"}) + "\n" for n in range(200)))
    extent, found = expectations(path)
    assert found == [pytest.approx(200)] * 200
    assert (extent.read, extent.taken) == (path.stat().st_size, 200)


def test_what_is_expected_of_lines_that_grow_is_right_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("query\n" + "".join("x" * n + "\n" for n in range(1, 101)))
    _, found = expectations(path)
    first, *_, last = (one or 0 for one in found)
    assert first > 200
    assert last == 100


@pytest.mark.parametrize(
    "source",
    [["a", "b", "c"], pd.DataFrame({"query": ["a", "b", "c"]}), {"a": 1, "b": 2, "c": 3}.keys()],
    ids=["list", "frame", "keys"],
)
def test_what_has_a_length_says_it(source: Iterable[str]) -> None:
    assert expectations(source)[1] == [3] * 3


def test_parquet_says_it(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pd.DataFrame({"query": [str(n) for n in range(600)]}).to_parquet(path)
    assert set(expectations(path)[1]) == {600}


def test_an_iterator_does_not() -> None:
    assert expectations(iter(["a", "b"]))[1] == [None, None]

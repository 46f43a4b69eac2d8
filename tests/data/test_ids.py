"""Each id once: what is an id, what a second one says, and what the check costs."""

from __future__ import annotations

import sqlite3
import tracemalloc
from typing import Any

import pytest

from chainlang.data import BadRow, Row, check_ids, unique_ids
from chainlang.errors import SourceError

ROOM = 10_000


@pytest.fixture(autouse=True)
def room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unique_ids, "ROOM", ROOM)


def test_an_id_twice_is_a_bad_row_that_names_both() -> None:
    rows = [Row(1, {"id": "a"}), Row(4, {"id": 7}), Row(5, {"t": 1}), Row(6, {"t": 1})]
    twice = Row(9, {"id": "7"})
    assert list(check_ids([*rows, twice, BadRow(10, "no"), twice])) == [
        *rows,
        BadRow(9, "row 4 has the id '7' too: ids are unique, or left out", twice.fields),
        BadRow(10, "no"),
        BadRow(9, "row 4 has the id '7' too: ids are unique, or left out", twice.fields),
    ]


def test_values_that_are_no_ids() -> None:
    rows = [Row(n, {"id": value}) for n, value in enumerate([None, None, True, True, 1.5, 1.5])]
    assert list(check_ids(rows)) == rows


@pytest.mark.slow
def test_any_number_of_ids_takes_the_same_memory() -> None:
    def peak(count: int) -> int:
        rows = (Row(n, {"id": f"row {n}"}) for n in range(count))
        tracemalloc.start()
        try:
            assert sum(isinstance(row, Row) for row in check_ids(rows)) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(20_000) < peak(20) + 20_000


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def small(*arguments: Any, **options: Any) -> sqlite3.Connection:
        base = connect(*arguments, **options)
        base.execute("PRAGMA max_page_count = 8")
        return base

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", small)
    rows = [Row(n, {"id": f"row {n}"}) for n in range(10_000)]
    with pytest.raises(SourceError) as caught:
        list(check_ids(rows))
    assert str(caught.value) == (
        "error[file]: the temporary file for ids: database or disk is full\n"
        "  = hint: point TMPDIR at a larger disk"
    )


def test_few_ids_need_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sqlite3, "connect")
    rows = [Row(n, {"id": f"row {n}"}) for n in range(20)]
    assert list(check_ids(rows)) == rows
    with pytest.raises(AttributeError):
        list(check_ids([Row(1, {"id": "x" * ROOM})]))


def test_ids_are_told_apart_where_the_file_begins() -> None:
    rows = [Row(n, {"id": f"row {n}"}) for n in range(200)]
    found = list(check_ids([*rows, *rows]))
    assert found[:200] == rows
    for row, twice in zip(rows, found[200:], strict=True):
        assert isinstance(twice, BadRow)
        assert f"row {row.number} has the id 'row {row.number}' too" in twice.message

"""Rows survive the way out and in again, in each format; equal rows make equal bytes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import example
from hypothesis import strategies as st

from chainlang.data import Row, read_rows
from chainlang.store.table_formats import Columns, converter, json_line, write_csv, write_parquet
from tests.data.test_jsonl import ROWS
from tests.laws import law
from tests.strategies import NASTY

TEXTS = st.text() | st.sampled_from(NASTY)
TABLES = st.lists(st.text(), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.lists(
        st.fixed_dictionaries(dict.fromkeys(names, TEXTS)), min_size=1, max_size=3
    )
)


def back(name: str, data: bytes) -> list[Any]:
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        rows = list(read_rows(path))
    return [row.fields if isinstance(row, Row) else row.message for row in rows]


def converted(rows: list[dict[str, Any]], write: Any) -> bytes:
    lines, out, columns = io.BytesIO(), io.BytesIO(), Columns()
    for row in rows:
        columns.see(row)
        lines.write(json_line(row))
    lines.seek(0)
    write(lines, out, columns)
    return out.getvalue()


@law(ROWS, share=2)
@example([{"a": "\ud800", "b": "é\u2028\x85\n"}])
def test_json_rows_survive(rows: list[dict[str, Any]]) -> None:
    data = b"".join(map(json_line, rows))
    assert back("x.jsonl", data) == rows
    assert len(data.decode().splitlines()) == len(rows)


@law(TABLES, share=2)
def test_texts_survive_in_csv(rows: list[dict[str, Any]]) -> None:
    """All but a NUL. Half a surrogate pair stands as its escape; two halves are one character."""
    rows = [{name: text.replace("\0", "") for name, text in row.items()} for row in rows]
    wanted = [{name: _escaped(text) for name, text in row.items()} for row in rows]
    names = [_escaped(name) for name in rows[0]]
    marks = any(mark in name for name in names for mark in ";\t\0")
    if not marks and len({*names}) == len(names) == len({*rows[0]}):
        found = back("x.csv", converted(rows, write_csv))
        assert found == wanted


@law(TABLES, share=5)
def test_texts_survive_in_parquet(rows: list[dict[str, Any]]) -> None:
    wanted = [{name: _escaped(text) for name, text in row.items()} for row in rows]
    data = converted(rows, write_parquet)
    assert back("x.parquet", data) == wanted
    assert data == converted(rows, write_parquet)


def _escaped(text: str) -> str:
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return whole.encode("utf-8", "backslashreplace").decode()


ROW = {"s": "a", "n": 1, "x": 0.5, "b": True, "none": None, "l": [1, {"é": 2}], "mixed": 1}
OTHER = {"s": "b", "n": None, "x": 2, "b": None, "none": None, "l": None, "mixed": "1", "new": "z"}


def test_cells_of_csv() -> None:
    assert converted([ROW, OTHER], write_csv).decode() == (
        "s,n,x,b,none,l,mixed,new\n"
        'a,1,0.5,true,,"[1, {""é"": 2}]",1,\n'
        "b,,2,,,,1,z\n"
    )  # fmt: skip


def test_types_of_parquet() -> None:
    table = pq.read_table(io.BytesIO(converted([ROW, OTHER], write_parquet)))
    kinds = {one.name: str(one.type) for one in table.schema}
    assert kinds == {
        "s": "string", "n": "int64", "x": "double", "b": "bool", "none": "string", "l": "string",
        "mixed": "string", "new": "string",
    }  # fmt: skip
    assert table.to_pylist() == [
        {**ROW, "l": '[1, {"é": 2}]', "mixed": "1", "new": None},
        OTHER,
    ]


def test_integers_that_no_column_holds_are_texts() -> None:
    (row,) = back("x.parquet", converted([{"n": 2**63}], write_parquet))
    assert row == {"n": str(2**63)}


def test_values_that_json_has_none_for_do_not_end_a_run() -> None:
    knot: list[Any] = []
    knot.append(knot)
    row = {"a": object, "b": float("inf"), "c": float("nan"), "d": {1}, "e": knot, "f": b"x"}
    found = json.loads(json_line(row))
    assert found["c"] is None
    assert {name: type(value) for name, value in found.items() if value} == dict.fromkeys(
        "abdef", str
    )
    converted([row], write_csv)
    converted([row, {"b": 1.5}], write_parquet)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_that_differ_in_a_surrogate_have_names_of_their_own(kind: str) -> None:
    row = {"a\ud800": 1, "a\\ud800": 2, "a" + chr(0xD801): 3, "a\\ud800_": 4}
    columns = Columns()
    columns.see(row)
    write, out = converter(kind), io.BytesIO()
    assert write is not None
    write(io.BytesIO(json_line(row)), out, columns)
    if kind == "csv":
        header, values = out.getvalue().decode().splitlines()
        names = header.split(",")
        assert values == "1,2,3,4"
    else:
        names = pq.read_table(io.BytesIO(out.getvalue())).column_names
    assert len(set(names)) == 4
    assert names[1] == "a\\ud800"


def test_cells_that_a_spreadsheet_would_compute_are_texts_where_that_is_asked_for() -> None:
    row = {"=a": "=1+1", "b": "+1", "c": "-1", "d": "@x", "e": -1, "f": "a=1", "g": "\t=1"}
    columns = Columns()
    columns.see(row)
    for escape, wanted in (
        (True, "'=a,b,c,d,e,f,g\n'=1+1,'+1,'-1,'@x,-1,a=1,'\t=1\n"),
        (False, '=a,b,c,d,e,f,g\n=1+1,+1,-1,@x,-1,a=1,"\t=1"\n'),
    ):
        out = io.BytesIO()
        write_csv(io.BytesIO(json_line(row)), out, columns, escape_formulas=escape)
        assert out.getvalue().decode() == wanted

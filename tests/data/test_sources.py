"""Where rows come from: files of other kinds, frames, Python values; and what is refused."""

from __future__ import annotations

import datetime
import decimal
import enum
import gzip
import itertools
import json
import os
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pydantic
import pytest

from chainlang.data import BadRow, Row, read_rows
from chainlang.errors import OperandError, SourceError
from chainlang.semantics.not_json import json_only, original, reason


def fields(source: Any) -> list[Any]:
    return [row.fields if isinstance(row, Row) else row.message for row in read_rows(source)]


# ---------------------------------------------------------------- values


class Model(pydantic.BaseModel):
    text: str
    day: datetime.date


def test_texts_dicts_models_and_rows() -> None:
    row = Row(41, {"a": 1})
    model = Model(text="x", day=datetime.date(2026, 11, 21))
    assert list(read_rows(["a", {"b": (1, 2)}, model, row, BadRow(9, "no")])) == [
        Row(1, {"query": "a"}, bare=True),
        Row(2, {"b": [1, 2]}),
        Row(3, {"text": "x", "day": "2026-11-21"}),
        row,
        BadRow(9, "no"),
    ]


def test_generators_are_walked_as_they_go() -> None:
    rows = read_rows({"n": n} for n in itertools.count())
    assert [row.number for row in itertools.islice(rows, 3)] == [1, 2, 3]


class Colour(enum.IntEnum):
    RED = 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (np.float32("nan"), None),
        (pd.NaT, None),
        (pd.NA, None),
        (np.datetime64("NaT"), None),
        (decimal.Decimal("NaN"), None),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array([1.0, float("nan")]), [1.0, None]),
        (np.datetime64("2026-11-21"), "2026-11-21"),
        (np.datetime64("2026-11-21T10:00:00.5", "ns"), "2026-11-21T10:00:00.500000"),
        (np.timedelta64(90, "m"), "PT1H30M"),
        (pd.Timestamp("2026-11-21T10:00"), "2026-11-21T10:00:00"),
        (pd.Timedelta(minutes=90), "PT1H30M"),
        (datetime.time(10, 30), "10:30:00"),
        (decimal.Decimal("1.50"), "1.50"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Path("a/b"), "a/b"),
        (Colour.RED, 1),
        ("\ud800", "\ud800"),
        ({"x": Model(text="a", day=datetime.date.min)}, {"x": {"text": "a", "day": "0001-01-01"}}),
    ],
    ids=repr,
)
def test_values_become_plain(value: object, expected: object) -> None:
    (found,) = fields([{"v": value}])
    assert found == {"v": expected}
    assert type(found["v"]) is type(expected)


def endless() -> list[Any]:
    knot: list[Any] = []
    knot.append(knot)
    return knot


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (5, "an int is not a row: write a string or a dict of fields"),
        (None, "a NoneType is not a row: write a string or a dict of fields"),
        (Model, "a ModelMetaclass is not a row: write a string or a dict of fields"),
        ({1: "a"}, "an int can't be the name of a field: names are strings"),
    ],
    ids=range(4),
)
def test_items_that_are_no_rows(item: object, message: str) -> None:
    assert fields([{"n": 1}, item, {"n": 3}]) == [{"n": 1}, message, {"n": 3}]


class Photo(pydantic.BaseModel):
    name: str
    data: bytes


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ({1, 2}, "a: a set is not a JSON value"),
        (b"x", "a: bytes are not a JSON value: decode them to a string first"),
        (float("inf"), "a: infinity is not a JSON value"),
        (10**5000, "a: a number of more than 4,300 digits"),
        (object(), "a: an object is not a JSON value"),
        ({1: "b"}, "an int can't be the name of a field: names are strings"),
        (pd.Period("2026-11", "M"), "a: a Period is not a JSON value"),
        (complex(1, 2), "a: a complex is not a JSON value"),
        (np.complex128(1), "a: a complex is not a JSON value"),
        (endless(), "nested too deeply, or contains itself"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_is_not_json_costs_its_field_only(value: object, why: str) -> None:
    (found,) = fields([{"a": value, "n": 1, "b": {"c": [2, {3}]}}])
    assert json_only(found) == {"n": 1, "b": {"c": [2]}}
    assert reason(found["a"]).endswith(why)
    assert original(found["a"]) is value or original(found["a"]) == value
    for use in (str, len, bool, list, json.dumps, lambda one: one.name, lambda one: one["b"]):
        with pytest.raises(TypeError):
            use(found["a"])


def test_a_model_with_bytes_costs_its_field_only() -> None:
    (found,) = fields([Photo(name="a", data=b"\xff")])
    assert json_only(found) == {"name": "a"}


def test_a_bad_item_keeps_what_was_read_of_it() -> None:
    bad, item = read_rows([{1: "a", "id": "r1"}, object()])
    assert isinstance(bad, BadRow)
    assert isinstance(item, BadRow)
    assert (bad.fields, bad.text) == ({"id": "r1"}, None)
    assert (item.fields, item.text) == ({}, "<object object>")


def test_what_a_generator_raises_is_its_own() -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise ZeroDivisionError

    rows = read_rows(broken())
    next(rows)
    with pytest.raises(ZeroDivisionError):
        next(rows)


# ---------------------------------------------------------------- frames


def test_pandas() -> None:
    frame = pd.DataFrame(
        {"text": ["a", None], "n": [1, 2], "x": [0.5, float("nan")]}, index=["i", "j"]
    )
    frame["when"] = pd.to_datetime(["2026-11-21", None])
    assert fields(frame) == [
        {"text": "a", "n": 1, "x": 0.5, "when": "2026-11-21T00:00:00"},
        {"text": None, "n": 2, "x": None, "when": None},
    ]
    assert fields(frame["text"][:1]) == [{"query": "a"}]
    assert fields(pd.DataFrame({0: ["a"], 1: ["b"]})) == [{"0": "a", "1": "b"}]


def test_polars_and_arrow() -> None:
    frame = pl.DataFrame({"text": ["a", None], "list": [[1], [2, 3]]})
    expected = [{"text": "a", "list": [1]}, {"text": None, "list": [2, 3]}]
    assert fields(frame) == expected
    assert fields(frame.to_arrow()) == expected
    assert fields(pl.Series(["a"])) == [{"query": "a"}]


class Dataset:
    """As Hugging Face has them: rows by number, and walked."""

    column_names = ("text",)
    features = "text"

    def __getitem__(self, at: int) -> dict[str, str]:
        return [{"text": "a"}, {"text": "b"}][at]


def test_datasets_are_walked_and_their_dicts_refused() -> None:
    assert fields(Dataset()) == [{"text": "a"}, {"text": "b"}]
    with pytest.raises(OperandError, match="use one of its splits: 'train'"):
        read_rows({"train": Dataset()})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"text": "a"}, r"a dict is not a source of rows(.|\n)*\[row\]"),
        (b"a.jsonl", "bytes is not a source of rows"),
        (5, "an int is not a source of rows"),
        (None, "a NoneType is not a source of rows"),
        (pl.LazyFrame({"a": [1]}), r"call .collect\(\) on it"),
        (Model(text="a", day=datetime.date.min), r"write \[row\]"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_values_that_hold_no_rows(source: object, message: str) -> None:
    with pytest.raises(OperandError, match=message):
        read_rows(source)


def test_columns_of_one_name() -> None:
    with pytest.raises(SourceError, match="two columns have the name 'a'"):
        fields(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(SourceError, match="has several levels"):
        fields(pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])))
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(SourceError, match="two columns have the name 'a'"):
        read_rows(table)


# ---------------------------------------------------------------- parquet


def test_parquet(tmp_path: Path) -> None:
    when = datetime.datetime(2026, 11, 21, 10, tzinfo=datetime.UTC)
    table = pa.table(
        {
            "n": list(range(2000)),
            "x": pa.array([float("nan")] * 2000),
            "when": pa.array([when] * 2000, pa.timestamp("ns", "UTC")),
            "nested": [{"a": [1, None]}] * 2000,
        }
    )
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=700)
    rows = list(read_rows(tmp_path / "x.parquet"))
    assert [row.number for row in rows] == list(range(1, 2001))
    assert rows[1999] == Row(
        2000, {"n": 1999, "x": None, "when": when.isoformat(), "nested": {"a": [1, None]}}
    )


def test_parquet_with_a_value_that_is_no_text(tmp_path: Path) -> None:
    texts = pa.array([b"a", b"\xff", b"c"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, texts.buffers())
    pq.write_table(pa.table({"t": text, "n": [1, 2, 3]}), tmp_path / "x.parquet")
    good, bad, other = fields(tmp_path / "x.parquet")
    assert (good, other) == ({"t": "a", "n": 1}, {"t": "c", "n": 3})
    assert json_only(bad) == {"n": 2}
    assert "can't decode byte 0xff" in reason(bad["t"])


@pytest.mark.parametrize("data", [b"nonsense", b"PAR1", b"PAR1" + b"x" * 100 + b"PAR1"])
def test_parquet_that_is_none(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(data)
    with pytest.raises(SourceError, match=r"x\.parquet: (not a Parquet file, or )?damaged"):
        list(read_rows(tmp_path / "x.parquet"))


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SourceError, match=r'pip install "chainlang\[parquet\]"'):
        list(read_rows(tmp_path / "x.parquet"))


# ---------------------------------------------------------------- files that are refused


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.jsonl", b"", "this file is empty"),
        ("x.csv", b"", "this file is empty"),
        ("x.jsonl", b"\n \n", "this file is empty"),
        ("x.csv", b"query,lang\n", "this file has no rows(.|\n)*column names only"),
        ("x.json", b"[]", r"a JSON list can't be read line by line(.|\n)*jq -c '.\[\]' x.json"),
        ("x.txt", b"a", r".txt files can't be read(.|\n)*\.jsonl, \.ndjson"),
        ("x", b"a", "files without a suffix can't be read"),
        ("x.csv.zip", b"PK\x03\x04", r".zip files can't be read(.|\n)*use gzip"),
        ("x.parquet.gz", gzip.compress(b"PAR1", mtime=0), "a compressed Parquet file"),
        ("x.jsonl.gz", gzip.compress(b'{"a": 1}', mtime=0)[:-4], "ends too early"),
        ("x.jsonl.gz", gzip.compress(b"{}" * 999, mtime=0)[:12] + b"x" * 99, "damaged"),
        ("x.jsonl.zst", b"\x28\xb5\x2f\xfd" + b"\xff" * 99, "damaged"),
        ("x.csv", b"PK\x03\x04", r"compressed \(zip\)"),
        ("x.csv", "a,b\n".encode("utf-16"), r"looks like utf-16(.|\n)*--encoding utf-16"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=message) as raised:
        list(read_rows(str(tmp_path / name)))
    assert [found.code for found in raised.value.diagnostics] == ["file"]


def test_what_is_no_file(tmp_path: Path) -> None:
    for name, message in [
        ("gone.jsonl", "there is no such file"),
        ("", "this folder is empty"),
        ("a\0.jsonl", "this is not a path|no such file"),
        ("x" * 5000 + ".jsonl", "too long"),
    ]:
        with pytest.raises(SourceError, match=message):
            read_rows(tmp_path / name)
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(SourceError, match="this is not a file"):
        read_rows(tmp_path / "pipe.jsonl")


def test_a_question_is_no_path() -> None:
    with pytest.raises(SourceError, match=r"for one row, write \['What is 17 \+ 25\?'\]"):
        read_rows("What is 17 + 25?")

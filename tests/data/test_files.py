"""Files as people have them: encodings, delimiters, compression, folders, names of columns."""

from __future__ import annotations

import gzip
import io
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import strategies as st

from chainlang.data import BadRow, Extent, Reading, Row, read_rows
from chainlang.errors import SourceError
from tests.laws import law


def fields(source: Any, **options: Any) -> list[Any]:
    rows = read_rows(source, Reading(**options))
    return [dict(row.fields) if isinstance(row, Row) else row.message for row in rows]


def put(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


# ---------------------------------------------------------------- encodings

TEXT = "id,query\n1,Grüße\n2,naïve – “x”\n"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_another_encoding_is_named_and_read(tmp_path: Path, encoding: str) -> None:
    path = put(tmp_path, "in.csv", TEXT.encode(encoding))
    with pytest.raises(SourceError, match="this file is not UTF-8; it looks like ") as raised:
        read_rows(path)
    named = str(raised.value).rpartition("encoding='")[2].partition("'")[0]
    assert named == encoding
    wanted = [{"id": "1", "query": "Grüße"}, {"id": "2", "query": "naïve – “x”"}]
    assert fields(path, encoding=named) == wanted
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in wanted)
    path = put(tmp_path, "in.jsonl", lines.encode(encoding))
    assert fields(path, encoding=named) == wanted


def test_latin_1_and_a_mark() -> None:
    with pytest.raises(SourceError, match="--encoding latin-1"):
        read_rows(put(Path(), "in.csv", "a\nÄ\nÖ\n".encode("latin-1")))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_line_that_is_damaged_fails_alone(tmp_path: Path) -> None:
    good, bad, other = fields(put(tmp_path, "in.csv", b"a\n\xc3\xa4\n\xe4\nb\n"))
    assert (good, other) == ({"a": "ä"}, {"a": "b"})
    assert "--encoding latin-1" in bad
    path = put(tmp_path, "in.csv", b"a\nx\xe4\n\x81\nb\n")
    assert fields(path, encoding="cp1252") == [
        {"a": "xä"}, "this line is not text in cp1252", {"a": "b"}
    ]  # fmt: skip


@law(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters='",\0\r\n'), min_size=1)),
    st.sampled_from(["utf-8", "utf-16", "utf-32", "utf-8-sig", "utf-16-be"]),
)
def test_every_text_is_read_in_its_encoding(texts: list[str], encoding: str) -> None:
    lines = "".join(f"{text}x\n" for text in ["a", *texts, "b"])
    path = put(Path(), "in.csv", lines.encode(encoding))
    assert fields(path, encoding=encoding) == [{"ax": f"{text}x"} for text in [*texts, "b"]]


# ---------------------------------------------------------------- delimiters


@pytest.mark.parametrize(
    "text",
    [
        "id;query;n\n1;a;2\n",
        '"id";"query";"n"\n"1";"a";"2"\n',
        "id;query, in words;n\n1;a;2\n",
        "header ; with ; semicolons\n1 ; 2 ; 3\n",
    ],
)
def test_another_delimiter_is_named_and_read(tmp_path: Path, text: str) -> None:
    for mark, shell in ((";", "';'"), ("\t", r"$'\t'"), ("|", "'|'")):
        path = put(tmp_path, "in.csv", text.replace(";", mark).encode())
        with pytest.raises(SourceError, match="columns of the header are separated by") as raised:
            read_rows(path)
        assert f"--delimiter {shell}" in str(raised.value)
        (row,) = fields(path, delimiter=mark)
        assert next(one.strip() for one in row.values()) == "1"
        assert len(row) == 3


def test_a_delimiter_that_is_named_is_taken_at_its_word(tmp_path: Path) -> None:
    path = put(tmp_path, "in.csv", b"a;b\n1,2\n")
    (bad,) = fields(path, delimiter=",")
    assert bad.startswith("this row has 2 columns, and the header has 1: a text with a comma")
    assert fields(put(tmp_path, "in.csv", b"a;b\n1\n"), delimiter=",") == [{"a;b": "1"}]
    with pytest.raises(SourceError, match="a delimiter is for CSV"):
        read_rows(put(tmp_path, "in.jsonl", b"{}\n"), Reading(delimiter=";"))
    with pytest.raises(SourceError, match="encoding= is for files"):
        read_rows([{"a": 1}], Reading(encoding="utf-16"))


# ---------------------------------------------------------------- compression, folders, stdin

ROWS = [{"id": f"r{at}", "query": f"What is {at}?"} for at in range(3)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
CSV = ("id,query\n" + "".join(f"{row['id']},{row['query']}\n" for row in ROWS)).encode()


@pytest.mark.parametrize("name", ["in.jsonl.gz", "in.jsonl.zst", "in.jsonl", "in.NDJSON.GZ"])
@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_compressed_files_are_read_whatever_their_names(
    tmp_path: Path, name: str, pack: Any
) -> None:
    assert fields(put(tmp_path, name, pack(LINES))) == ROWS
    twice = pack(LINES[:50]) + pack(LINES[50:])  # as tools put them together
    assert fields(put(tmp_path, name, twice)) == ROWS
    packed = pack("a,b\nä,1\nö,2\n".encode("latin-1"))
    assert fields(put(tmp_path, "in.csv.gz", packed), encoding="latin-1")[0] == {"a": "ä", "b": "1"}


def test_zstandard_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(SourceError, match=r'pip install "chainlang\[zstd\]"'):
        read_rows(put(tmp_path, "in.jsonl.zst", zstandard.compress(LINES)))


def test_a_file_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    one, other = put(tmp_path, "a.jsonl", LINES), put(tmp_path, "b.jsonl", LINES)
    for twice in (
        [one, other, one],
        [tmp_path, one],
        [one, tmp_path / ".." / tmp_path.name / "a.jsonl"],
    ):
        with pytest.raises(SourceError, match=r"a\.jsonl: this file is named twice"):
            list(read_rows(twice))


def test_numbers_in_the_names_of_a_folder_are_in_their_order(tmp_path: Path) -> None:
    names = [*(f"{number:03}.jsonl" for number in (0, 101, 999, 1000, 1001)), "a.jsonl"]
    for number, name in enumerate(reversed(names)):
        put(tmp_path, name, f'{{"id": {number}}}\n'.encode())
    assert [row.fields["id"] for row in read_rows(tmp_path)] == [5, 4, 3, 2, 1, 0]


def test_several_files_and_a_folder_are_read_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    put(folder, "2.csv.gz", gzip.compress(CSV))
    put(folder, "1.jsonl", LINES)
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "3.parquet")
    put(folder, "_SUCCESS", b"")
    put(folder, ".1.jsonl.crc", b"x")
    paths = [folder / name for name in ("1.jsonl", "2.csv.gz", "3.parquet")]
    for source in (folder, str(folder), paths, tuple(paths), [folder / "1.jsonl", *paths[1:]]):
        rows = list(read_rows(source))
        assert [row.fields for row in rows] == [*ROWS, *ROWS, *ROWS]
        assert [str(row.origin) for row in rows[2:5]] == [
            "1.jsonl, line 3", "2.csv.gz, line 2", "2.csv.gz, line 3"
        ]  # fmt: skip
    assert str(list(read_rows(folder))[8].origin) == "3.parquet, row 3"


def test_a_fault_of_a_later_file_stops_before_the_first_row(tmp_path: Path) -> None:
    paths = [put(tmp_path, "1.jsonl", LINES), put(tmp_path, "2.csv", b"a,a\n1,2\n")]
    with pytest.raises(SourceError, match="names the column 'a' twice"):
        read_rows(paths)
    with pytest.raises(SourceError, match="there is no such file"):
        read_rows([paths[0], tmp_path / "3.jsonl"])
    put(tmp_path, "notes.txt", b"x")
    with pytest.raises(SourceError, match=r"notes\.txt: \.txt files can't be read"):
        read_rows(tmp_path)
    assert fields(["1.jsonl"]) == [{"query": "1.jsonl"}]  # a text is a row


@pytest.mark.parametrize(
    "data", [LINES, CSV, gzip.compress(CSV), b"\xef\xbb\xbf\n" + LINES], ids=range(4)
)
def test_the_standard_input(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(data)))  # type: ignore[type-var]
    monkeypatch.setattr(sys, "stdin", stdin)
    rows = list(read_rows("-"))
    assert [row.fields for row in rows] == ROWS
    assert str(rows[0].origin).startswith("stdin, line ")


def test_no_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SourceError, match="there is nothing to read"):
        read_rows("-")


def test_progress_of_several_files(tmp_path: Path) -> None:
    paths = [put(tmp_path, f"{at}.jsonl", LINES) for at in range(2)]
    extent = Extent()
    assert len(list(read_rows(paths, extent=extent))) == extent.taken == 6
    assert extent.expected() in (None, 6)


# ---------------------------------------------------------------- names of columns


def test_columns_are_renamed_in_every_source(tmp_path: Path) -> None:
    table = {"Question Text": ["a", "b"], "a.b": [1, 2]}
    frame = pd.DataFrame(table)
    frame.to_csv("in.csv", index=False)
    frame.to_json("in.jsonl", orient="records", lines=True)
    frame.to_parquet("in.parquet")
    rename = {"Question Text": "question", "a.b": "n"}
    for source in (
        "in.csv", "in.jsonl", "in.parquet", frame, pl.DataFrame(table), pa.table(table),
        frame.to_dict("records"),
    ):  # fmt: skip
        found = fields(source, rename=rename)
        assert [[*row] for row in found] == [["question", "n"]] * 2
        assert found[1]["question"] == "b"


def test_a_renaming_that_fits_no_column_is_an_error(tmp_path: Path) -> None:
    path = put(tmp_path, "in.csv", b"Question Text,n\na,1\n")
    with pytest.raises(
        SourceError, match=r"no column 'question text' to rename(.|\n)*did you mean"
    ):
        read_rows(path, Reading(rename={"question text": "q"}))
    with pytest.raises(SourceError, match="two columns have the name 'n' after 'Question Text'"):
        read_rows(path, Reading(rename={"Question Text": "n"}))
    rows = read_rows([{"a": 1, "b": 2}, {"a": 3}], Reading(rename={"a": "b"}))
    bad, good = rows
    assert isinstance(bad, BadRow)
    assert bad.fields == {"a": 1, "b": 2}
    assert good.fields == {"b": 3}


# ---------------------------------------------------------------- ids


def test_ids_that_pandas_made_floats_are_whole_numbers_again() -> None:
    frame = pd.DataFrame({"id": [7, 8, None], "query": ["a", "b", "c"]})
    assert frame["id"].dtype == float
    assert [row.fields["id"] for row in read_rows(frame)] == [7, 8, None]
    assert [type(row.fields["id"]) for row in read_rows([{"id": 7.0}, {"id": -0.0}])] == [int, int]


@pytest.mark.parametrize("given", [1.5, 1e300, 2.0**53, True, ["a"], {"a": 1}, b"x", float("inf")])
def test_other_ids_are_refused_and_never_hashed(given: object) -> None:
    good, bad = read_rows([{"id": date(2026, 11, 1), "q": 1}, {"id": given, "q": 2}])
    assert good.fields["id"] == "2026-11-01"
    assert isinstance(bad, BadRow)
    assert "is no id: write a text or a whole number, or leave it out" in bad.message
    assert bad.fields["q"] == 2


# ---------------------------------------------------------------- sizes


@pytest.mark.slow
def test_a_small_file_of_large_values_takes_the_memory_of_few_rows(tmp_path: Path) -> None:
    """256 rows of one text of 4 MB, which the file holds once."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 256, pa.int32()), ["x" * (4 << 20)])
    pq.write_table(
        pa.table({"text": texts}), "in.parquet", compression="zstd", store_schema=False,
        dictionary_pagesize_limit=1 << 30,
    )  # fmt: skip
    assert (tmp_path / "in.parquet").stat().st_size < 10_000
    before = pa.total_allocated_bytes()
    numbers = []
    for row in read_rows("in.parquet"):
        assert len(row.fields["text"]) == 4 << 20
        assert pa.total_allocated_bytes() - before < 200 << 20
        numbers.append(row.number)
    assert numbers == list(range(1, 257))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["in.csv", "in.jsonl"])
def test_reading_is_linear_in_the_number_of_columns(tmp_path: Path, name: str) -> None:
    names = [f"column {at}" for at in range(80_000)]
    if name == "in.csv":
        data = ",".join(names) + "\n" + ",".join("1" for _ in names) + "\n"
        path = put(tmp_path, name, data.encode())
        assert len(fields(path)[0]) == 80_000
        put(tmp_path, name, ",".join([*names, names[-1]]).encode())
        with pytest.raises(SourceError, match="names the column 'column 79999' twice"):
            read_rows(path)
    else:
        pairs = ", ".join(f'"{one}": 1' for one in [*names, names[-1]])
        assert fields(put(tmp_path, name, f"{{{pairs}}}\n".encode())) == [
            "the object has the name 'column 79999' twice"
        ]

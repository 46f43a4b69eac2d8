"""CSV and TSV: RFC 4180, and a bad record that costs its first line only."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import pytest
from hypothesis import strategies as st

from chainlang.data import BadRow, Row
from chainlang.errors import SourceError
from tests.data.test_jsonl import read, said
from tests.laws import law

CELLS = st.text(st.sampled_from(list('ab1 é😀,;\t"\n\r')), max_size=5)


def test_records_as_rfc_4180_has_them(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbfid,text\r\n1,"a ""b"", c"\r\n\r\n2,"two\r\nlines"\n3,\n4,5" pipe'
    rows = read(tmp_path, data, "x.csv")
    assert rows == [
        Row(2, {"id": "1", "text": 'a "b", c'}),
        Row(4, {"id": "2", "text": "two\r\nlines"}),
        Row(6, {"id": "3", "text": ""}),
        Row(7, {"id": "4", "text": '5" pipe'}),
    ]


def test_tabs(tmp_path: Path) -> None:
    assert read(tmp_path, b"a\tb\n1,5\t2\n", "x.tsv") == [Row(2, {"a": "1,5", "b": "2"})]


@law(st.integers(1, 3).flatmap(lambda n: st.lists(st.tuples(*[CELLS] * n), min_size=1)))
def test_what_python_writes_is_read(records: list[tuple[str, ...]]) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    names = [f"c{at}" for at in range(len(records[0]))]
    writer.writerows([names, *records])
    with TemporaryDirectory() as folder:
        found = read(Path(folder), out.getvalue().encode(), "x.csv")
    assert [tuple(row.fields.values()) for row in found if isinstance(row, Row)] == records


@law(st.text(st.sampled_from(list('a,"\n')), max_size=40))
def test_every_text_is_rows_and_bad_rows(text: str) -> None:
    """And where Python's own reader finds no fault, the rows are the same."""
    with TemporaryDirectory() as folder:
        found = read(Path(folder), f"a,b\n1,2\n{text}".encode(), "x.csv")[1:]
    numbers = [row.number for row in found]
    assert numbers == sorted(set(numbers))
    if all(isinstance(row, Row) for row in found):
        expected = [one for one in csv.reader(io.StringIO(text, newline=""), strict=True) if one]
        assert [list(row.fields.values()) for row in found if isinstance(row, Row)] == expected


NOT_UTF8 = (
    "byte 0xff at column 3 is not UTF-8: if the file is in another encoding, name it: "
    "--encoding latin-1"
)
BAD = {
    "1": "this row has 1 column, and the header has 2",
    "1,2,3": "this row has 3 columns, and the header has 2: a text with a comma in it stands in "
    "quotes",
    '"1"2,3': "column 1: text after the closing quote",
    '1,"open': "a quote is opened here and never closed",
    "1,\0": "a NUL character",
}


@pytest.mark.parametrize(("line", "message"), BAD.items(), ids=ascii)
def test_a_bad_record_costs_its_line_only(tmp_path: Path, line: str, message: str) -> None:
    rows = read(tmp_path, f"a,b\n{line}\nx,y\n7,8\n".encode(), "x.csv")
    rest = [Row(3, {"a": "x", "b": "y"}), Row(4, {"a": "7", "b": "8"})]
    assert said(rows) == [(2, message), *rest]


def test_a_bad_record_keeps_what_was_read_of_it(tmp_path: Path) -> None:
    rows = read(tmp_path, b'id,a,b\n1,x\n2,x,y,z\n"3,x,y\n4\n', "x.csv")
    assert [row.fields for row in rows] == [
        {"id": "1", "a": "x"},
        {"id": "2", "a": "x", "b": "y"},
        {},
        {"id": "4"},
    ]
    assert [row.text for row in rows if isinstance(row, BadRow)] == [
        "1,x",
        "2,x,y,z",
        '"3,x,y',
        "4",
    ]


def test_a_quote_that_is_never_closed_swallows_nothing(tmp_path: Path) -> None:
    lines = ["a,b", '1,"open', *(f"{n},x" for n in range(1000))]
    rows = read(tmp_path, "\n".join(lines).encode(), "x.csv")
    assert said(rows)[0] == (2, "a quote is opened here and never closed")
    assert [row.number for row in rows[1:]] == list(range(3, 1003))
    assert all(isinstance(row, Row) for row in rows[1:])


@pytest.mark.slow
@pytest.mark.parametrize("line", ['x",",', '"', 'x,"', '"""', '""","'])
def test_time_is_linear_whatever_the_quotes(tmp_path: Path, line: str) -> None:
    began = process_time()
    read(tmp_path, ("a,b\n" + f"{line}\n" * 100_000).encode(), "x.csv")
    assert process_time() - began < 20


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    rows = read(tmp_path, b"a,b\n1,\xff\n3,4\n", "x.csv")
    assert said(rows) == [(2, NOT_UTF8), Row(3, {"a": "3", "b": "4"})]


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="this file has no rows"):
        read(tmp_path, b"a,b\n\n", "x.csv")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a,a\n1,2\n", "the header names the column 'a' twice"),
        (b"a;b\n1;2\n", "the columns of the header are separated by semicolons"),
        (b"a\tb\n1\t2\n", "the columns of the header are separated by tabs"),
        (b"\n\n", "this file is empty"),
        (b"a,\xff\n", "line 1, the header: byte 0xff"),
        (b'a,"b\n', "line 1, the header: a quote is opened here and never closed"),
    ],
)
def test_headers_that_name_no_columns(tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        read(tmp_path, data, "x.csv")

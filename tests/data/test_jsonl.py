"""JSON lines: what is read, what is a bad row, and that a bad row harms no other."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import strategies as st

from chainlang.data import BadRow, Reading, Row, read_rows
from chainlang.errors import SourceError
from chainlang.semantics.not_json import json_only, reason
from tests.laws import law

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.text(), VALUES, max_size=4), min_size=1, max_size=5)

BAD = {
    "{": "not JSON: expecting property name enclosed in double quotes at column 2",
    "nope": "not JSON: expecting value at column 1",
    '{"a": 1} x': "not JSON: extra data at column 10",
    "[1]": "a list is not a row: each line is one JSON object",
    '"text"': "a string is not a row: each line is one JSON object",
    "null": "a null is not a row: each line is one JSON object",
    "1.5": "a number is not a row: each line is one JSON object",
    '{"b": 1, "a": 2, "b": 1}': "the object has the name 'b' twice",
    '{"a": ' + "[" * 90_000: "nested more than 100 deep, which is the limit",
    '{"a": "\x00"}': "not JSON: invalid control character at column 8",
}


UNREAD = {
    '{"a": NaN, "n": 1}': "a: NaN is not JSON: write null for a missing number",
    '{"a": -Infinity, "n": 1}': "a: -Infinity is not JSON: write null for a missing number",
    '{"a": 1e999, "n": 1}': "a: the number 1e999 is too large",
    '{"a": {"b": 1, "b": 1}, "n": 1}': "a: the object has the name 'b' twice",
    '{"a": ' + "9" * 5000 + ', "n": 1}': "a: a number of more than 4,300 digits",
    '{"a": ' + "[" * 100 + "]" * 100 + ', "n": 1}': "a: nested more than 100 deep, which is the "
    "limit",
}
"""Lines with a value that is an error only where something reads it."""


def said(rows: list[Row | BadRow]) -> list[Row | tuple[int, str]]:
    return [row if isinstance(row, Row) else (row.number, row.message) for row in rows]


def read(folder: Path, data: bytes, name: str = "x.jsonl", **options: Any) -> list[Row | BadRow]:
    path = folder / name
    path.write_bytes(data)
    return list(read_rows(path, Reading(**options)))


@pytest.mark.parametrize(("line", "message"), BAD.items(), ids=[key[:12] for key in BAD])
def test_a_bad_line_says_what_is_wrong(tmp_path: Path, line: str, message: str) -> None:
    rows = read(tmp_path, f'{{"n": 1}}\n{line}\n{{"n": 3}}'.encode())
    assert said(rows) == [Row(1, {"n": 1}), (2, message), Row(3, {"n": 3})]
    assert isinstance(rows[1], BadRow)
    assert rows[1].text == (line if len(line) < 1000 else line[:999] + "…")


@pytest.mark.parametrize(("line", "why"), UNREAD.items(), ids=[key[:12] for key in UNREAD])
def test_a_value_that_is_not_json_costs_its_field_only(tmp_path: Path, line: str, why: str) -> None:
    (row,) = read(tmp_path, line.encode())
    assert isinstance(row, Row)
    assert json_only(row.fields) == {"n": 1}
    assert reason(row.fields["a"]) == why


def test_a_hundred_levels_are_not_too_deep(tmp_path: Path) -> None:
    line = '{"a": ' + "[" * 99 + "]" * 99 + ', "s": "[[[{{{"}'
    assert isinstance(read(tmp_path, line.encode())[0], Row)


@law(ROWS, st.booleans(), share=3)
def test_what_json_writes_is_read(rows: list[dict[str, Any]], ascii_only: bool) -> None:
    texts = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]
    with TemporaryDirectory() as folder:
        found = read(Path(folder), "\n".join(texts).encode("utf-8", "surrogatepass"))
    assert [row.fields for row in found if isinstance(row, Row)] == rows


@law(st.lists(st.sampled_from([*BAD, "", "GOOD"]), min_size=1, max_size=12), share=3)
def test_bad_lines_never_shift_others(kinds: list[str]) -> None:
    lines = [json.dumps({"n": at}) if kind == "GOOD" else kind for at, kind in enumerate(kinds, 1)]
    wanted = {
        at: Row(at, {"n": at}) if kind == "GOOD" else (at, BAD[kind])
        for at, kind in enumerate(kinds, 1)
        if kind
    }
    with TemporaryDirectory() as folder:
        if wanted:
            found = read(Path(folder), "\n".join(lines).encode())
            assert dict(zip((row.number for row in found), said(found), strict=True)) == wanted
        else:
            with pytest.raises(SourceError, match="empty"):
                read(Path(folder), "\n".join(lines).encode())


def test_line_ends_marks_and_blanks(tmp_path: Path) -> None:
    data = b'\xef\xbb\xbf{"n": 1}\r\n\r\n  \n{"n": 4}\n{"n": 5}'
    assert [row.number for row in read(tmp_path, data)] == [1, 4, 5]


def test_bytes_that_are_no_text_cost_their_line_only(tmp_path: Path) -> None:
    rows = read(tmp_path, b'{"n": 1}\n{"n": "\xff"}\n{"n": 3}\n')
    bad = rows[1]
    assert isinstance(bad, BadRow)
    assert bad.message.startswith("byte 0xff at column 8 is not UTF-8: if the file is in another")
    assert bad.text == '{"n": "\\xff"}'
    assert rows[2] == Row(3, {"n": 3})


def test_a_long_line_costs_itself_only(tmp_path: Path) -> None:
    long = b'{"n": "' + b"x" * 3_000_000 + b'"}'
    rows = read(tmp_path, b'{"n": 1}\n' + long + b'\n{"n": 3}\n' + long, line_bytes=1000)
    bad = "a line of more than 1,000 bytes, which is the limit"
    assert said(rows) == [Row(1, {"n": 1}), (2, bad), Row(3, {"n": 3}), (4, bad)]
    assert isinstance(rows[1], BadRow)
    assert rows[1].text == long[:999].decode() + "…"


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_limit_of_a_line_is_exact(tmp_path: Path, end: str) -> None:
    line = json.dumps({"n": "x" * 20}) + end
    size = len(line.rstrip())
    assert isinstance(read(tmp_path, line.encode(), line_bytes=size)[0], Row) or end == "\r\n"
    assert isinstance(read(tmp_path, line.encode(), line_bytes=size - 1)[0], BadRow)


def test_half_a_surrogate_pair_is_data(tmp_path: Path) -> None:
    assert read(tmp_path, b'{"a": "\\ud800"}') == [Row(1, {"a": "\ud800"})]

"""Formats of tables: rows are written as JSON lines; a full part is converted to its format.

So a part needs the memory of one row, and its columns are known when it is converted. Columns keep
their order, and parts only add columns. Equal rows are written as equal bytes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, get_args

from attrs import define, field

from chainlang.data.to_json import plain
from chainlang.diagnostics.render import shown
from chainlang.errors import error_of
from chainlang.protocol.json_encoder import encoder
from chainlang.semantics.not_json import left_out
from chainlang.settings import Format

FORMATS: tuple[str, ...] = get_args(Format)
_GROUP = 4096  # rows of a row group
_SEPARATORS = {"\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"}
_LARGEST = 2**63
_ENCODE = encoder(ascii_only=False, nan=False)


def json_line(row: Mapping[str, Any]) -> bytes:
    """Return a row as a line of JSON, with a newline.

    Text is UTF-8, with escapes for lone surrogates and for characters that some readers take for
    the end of a line; two surrogates of a pair are read back as one character. A value that is not
    JSON is written as the text of its `repr`.

    >>> json_line({"half": "\\ud800", "score": float("nan")})
    b'{"half": "\\\\ud800", "score": null}\\n'
    """
    return line_of(row).encode()


def line_of(row: Mapping[str, Any]) -> str:
    """Return the line of `json_line` as a text, which UTF-8 can encode."""
    try:
        text = _ENCODE(row)
    except (TypeError, ValueError, RecursionError):
        row = {name: _plain(value) for name, value in row.items()}
        text = _ENCODE(row)
    if text.isascii():
        return f"{text}\n"
    return f"{escaped(text) or json.dumps(row, allow_nan=False)}\n"


def escaped(text: str) -> str | None:
    """Return the JSON of rows with the escapes of `json_line`; None if it has half of a pair."""
    for separator, escape in _SEPARATORS.items():
        text = text.replace(separator, escape)
    try:
        text.encode()
    except UnicodeEncodeError:
        return None
    return text


def _plain(value: Any) -> Any:
    found = plain(value)
    return shown(value, 1000) if left_out({"value": found}) else found


@define
class Columns:
    """The columns of a table so far, in the order of their first row, with their types."""

    kinds: dict[str, str] = field(factory=dict)

    def see(self, row: Mapping[str, Any]) -> None:
        """Add the columns of a row."""
        for name, value in row.items():
            kind = _kind(value)
            before = self.kinds.setdefault(name, kind)
            if before != kind and kind:
                self.kinds[name] = _both(before, kind) if before else kind


def _kind(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "bool"
        case int():
            return "int" if -_LARGEST <= value < _LARGEST else "text"
        case float():
            return "" if math.isnan(value) else "float" if math.isfinite(value) else "text"
    return "text"


def _both(one: str, other: str) -> str:
    return "float" if {one, other} == {"int", "float"} else "text"


def converter(
    format: str,  # noqa: A002  # what everybody calls it
    *,
    escape_formulas: bool = False,
) -> Callable[[BinaryIO, BinaryIO, Columns], None] | None:
    """Return the function that converts JSON lines into a format; None for ``jsonl``.

    Raises `SourceError` for an unknown format, or one whose library is not installed.
    """
    if format not in FORMATS:
        what = f"unknown format {shown(format)} of a run folder"
        raise error_of("file", what, f"write one of {', '.join(FORMATS)}")
    if format == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401  # before the run, and not at the end of a part
        except ImportError as error:
            what = "writing Parquet needs pyarrow"
            hint = 'pip install "chainlang[parquet]"'
            raise error_of("file", what, hint) from error
    if format == "csv":
        return partial(write_csv, escape_formulas=escape_formulas)
    return write_parquet if format == "parquet" else None


def check_tables(format: str, part_rows: int) -> None:  # noqa: A002  # as of a run
    """Raise `SourceError` for a format or a number of rows in a part that tables can't have."""
    converter(format)
    if part_rows < 1:
        raise error_of("file", f"part_rows={part_rows}: a part holds at least one row")


def write_csv(
    lines: BinaryIO, out: BinaryIO, columns: Columns, *, escape_formulas: bool = False
) -> None:
    """Write JSON lines as CSV: RFC 4180 with a header, UTF-8, lines ending in a newline.

    Text is written as it is, None as an empty cell, and any other value as JSON. A lone surrogate,
    which UTF-8 can't encode, is written as its escape. With `escape_formulas`, text that a
    spreadsheet would compute begins with an apostrophe.
    """
    shown = _formula_as_text if escape_formulas else str
    out.write(_record([shown(name) for name in _unique_names(columns)]))
    for line in lines:
        row = json.loads(line)
        cells = (row.get(name) for name in columns.kinds)
        out.write(_record([shown(one) if isinstance(one, str) else _text(one) for one in cells]))


def _formula_as_text(text: str) -> str:
    """Return a text that a spreadsheet does not take for a formula.

    >>> _formula_as_text("=1+1"), _formula_as_text("a=1")
    ("'=1+1", 'a=1')
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _unique_names(columns: Columns) -> list[str]:
    """Return the names of the columns as UTF-8 can hold them, each of which is another one."""
    found: dict[str, None] = {}
    for name in columns.kinds:
        written = _utf8(name)
        while written in found or (written != name and written in columns.kinds):
            written = f"{written}_"
        found[written] = None
    return list(found)


def _record(cells: list[str]) -> bytes:
    text = ",".join(map(_cell, cells)) if cells != [""] else '""'
    return (text + "\n").encode("utf-8", "backslashreplace")


def _cell(text: str) -> str:
    if any(mark in text for mark in ',"\r\n') or text[:1] in (" ", "\t", "\ufeff"):
        return '"' + text.replace('"', '""') + '"'
    return text


def _text(value: Any) -> str:
    """Return a value as a cell."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def write_parquet(lines: BinaryIO, out: BinaryIO, columns: Columns) -> None:
    """Write JSON lines as Parquet, with a typed column if all its values have one type.

    Lists, objects and columns of several types are text, as in CSV.
    """
    import pyarrow as pa
    from pyarrow import parquet

    types = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64()}
    schema = pa.schema(
        [
            (name, types.get(kind, pa.string()))
            for name, kind in zip(_unique_names(columns), columns.kinds.values(), strict=True)
        ]
    )
    with parquet.ParquetWriter(out, schema) as writer:
        while rows := [json.loads(line) for line in islice(lines, _GROUP)]:
            arrays = [
                pa.array(_values(rows, name, kind), one.type)
                for (name, kind), one in zip(columns.kinds.items(), schema, strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _values(rows: list[dict[str, Any]], name: str, kind: str) -> Iterator[Any]:
    for row in rows:
        value = row.get(name)
        if value is None or kind in ("bool", "int"):
            yield value
        elif kind == "float":
            yield float(value)
        else:
            yield _utf8(_text(value))


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()

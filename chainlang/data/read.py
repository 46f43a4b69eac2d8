"""Entry point of the readers: rows of files, a data frame or an iterable."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence, Sized
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from attrs import evolve

from chainlang.data.csv import read_csv
from chainlang.data.files import KINDS, files_of, kind_of, reader_of
from chainlang.data.jsonl import read_jsonl
from chainlang.data.opened import kind_of_stdin
from chainlang.data.parquet import check_names, read_batches, read_parquet
from chainlang.data.passing import OtherRowsError, Passing
from chainlang.data.read_progress import Extent
from chainlang.data.reading import Reading
from chainlang.data.refusal import refuse
from chainlang.data.row import DEEPEST, BadRow, Row, Unreadable
from chainlang.data.to_json import named_fields, plain_row
from chainlang.diagnostics.render import article, shown
from chainlang.errors import error_of
from chainlang.semantics.origin import STDIN

_EXACT = 2.0**53  # whole numbers below this have each a float of their own


def read_rows(
    source: Any,
    reading: Reading | None = None,
    *,
    extent: Extent | None = None,
    passing: Passing | None = None,
) -> Iterator[Row | BadRow]:
    """Return an iterator over the rows of a source; a row that can't be read is a `BadRow`.

    A source is a path (``.jsonl``, ``.ndjson``, ``.csv``, ``.tsv``, ``.parquet``; text also with
    ``.gz`` or ``.zst``; a folder of such files; ``-``, the standard input), a list of paths, a data
    frame of pandas or polars, an Arrow table, a Hugging Face dataset, or any iterable of strings,
    dicts, pydantic models and `Row`s. A string is the row ``{"query": text}``, marked as bare.
    `extent` is updated while rows are read; it has marks if the rows can be passed.

    Raises `SourceError` for a file that can't be read or has no rows, `OperandError` for a value
    that is not a source, and `OtherRowsError` if the rows of `passing` can't be passed.

    >>> [row.fields for row in read_rows(["What is 17 + 25?", {"text": "a"}])]
    [{'query': 'What is 17 + 25?'}, {'text': 'a'}]
    """
    reading = reading or Reading()
    extent = Extent() if extent is None else extent
    files = files_of(source)
    if files is None or not _has_marks(files, reading):
        extent.marks = None
        if passing is not None:
            raise OtherRowsError
    if files is not None:
        rows = _files(files, reading, extent, passing)
    else:
        for name in ("encoding", "delimiter"):
            if getattr(reading, name) is not None:
                refuse("these rows", f"{name}= is for files", f"leave {name}= out")
        rows = _values(source, reading)
        if isinstance(source, Sized):
            extent.rows = len(source)
    rows = reading.renamed(rows) if reading.rename else rows
    return extent.counted(map(_identified, rows))


def read_row(value: Any) -> Row | BadRow:
    """Return one row of an iterable, or the reason why the value is none.

    >>> read_row({"text": "a"}).fields
    {'text': 'a'}
    """
    return _identified(next(_rows([value], DEEPEST)))


def _identified(row: Row | BadRow) -> Row | BadRow:
    """Return a row whose id is a text or a whole number, or an error in its place.

    A column of whole numbers with a gap is one of floats in pandas.
    """
    given = row.fields.get("id")
    if given is None or isinstance(row, BadRow) or type(given) in (str, int):
        return row
    if isinstance(given, float) and given.is_integer() and abs(given) < _EXACT:
        return evolve(row, fields={**row.fields, "id": int(given)})
    what = f"id: {shown(given)} is no id: write a text or a whole number, or leave it out"
    return BadRow(row.number, what, row.fields, file=row.file)


def _has_marks(files: list[Path], reading: Reading) -> bool:
    """Return whether rows are those of one file of JSON lines as they stand in it."""
    is_plain = reading.encoding is None and reading.delimiter is None and not reading.rename
    return is_plain and len(files) == 1 and kind_of(files[0]) in (".jsonl", ".ndjson")


def _files(
    files: list[Path], reading: Reading, extent: Extent, passing: Passing | None
) -> Iterator[Row | BadRow]:
    """Return the rows of files, one after another, each of which is readable so far."""
    if len(files) == 1:
        return _begun(files[0], reading, extent, passing)
    for path in files:  # before the first row of the first file
        if str(path) != STDIN:
            _begun(path, reading, Extent())
    extent.size = sum(path.stat().st_size for path in files if _is_plain(path, reading))
    return chain.from_iterable(_begun(path, reading, Extent()) for path in files)


def _begun(
    path: Path, reading: Reading, extent: Extent, passing: Passing | None = None
) -> Iterator[Row | BadRow]:
    """Read the first row at once, so that a damaged file is refused early; return all rows.

    Raises `SourceError` for a file without rows.
    """
    if _is_plain(path, reading):
        extent.size = path.stat().st_size
    rows = _file(path, reading, extent, passing)
    first = next(rows, None)
    if first is None:
        if passing is not None:
            return rows
        refuse(path, "this file has no rows", "it has column names only")
    return chain((first,), rows)


def _is_plain(path: Path, reading: Reading) -> bool:
    """Return whether the size of a file is known in the bytes that are read of it."""
    is_text = kind_of(path) == path.suffix.lower() != ".parquet"
    return is_text and str(path) != STDIN and reading.encoding is None


def _file(
    path: Path, reading: Reading, extent: Extent, passing: Passing | None
) -> Iterator[Row | BadRow]:
    kind = kind_of_stdin(reading.encoding) if str(path) == STDIN else kind_of(path)
    if kind in (".csv", ".tsv"):
        return read_csv(path, "," if kind == ".csv" else "\t", reading, extent)
    if reading.delimiter is not None:
        refuse(path, "a delimiter is for CSV", "leave --delimiter out, in Python delimiter=")
    if kind not in KINDS and (plugin := reader_of(path)) is not None:
        own = _rows(plugin.load()(path), reading.depth)
        return (evolve(one, file=str(path)) for one in own)
    if kind != ".parquet":
        return read_jsonl(path, reading, extent, passing)
    if reading.encoding is not None:
        refuse(path, "Parquet has no encoding", "leave --encoding out, in Python encoding=")
    return read_parquet(path, reading, extent)


def _values(source: Any, reading: Reading) -> Iterator[Row | BadRow]:
    depth = reading.depth
    if callable(getattr(source, "to_batches", None)) and hasattr(source, "column_names"):
        _check_columns("this table", source.column_names, reading)
        return read_batches(source.to_batches(), depth)
    _refuse_value(source)
    if callable(getattr(source, "itertuples", None)):
        names = _pandas_names(source)
        _check_columns("this frame", names, reading)
        # A frame without columns yields an empty tuple for each row.
        tuples = source.itertuples(index=False, name=None)
        return _rows(map(dict, map(partial(zip, names), tuples)), depth)
    if callable(getattr(source, "iter_rows", None)):
        _check_columns("this frame", source.columns, reading)
        return _rows(source.iter_rows(named=True), depth)
    of_dataset = getattr(source, "column_names", None)
    if isinstance(of_dataset, list):
        _check_columns("this dataset", of_dataset, reading)
    return _rows(source, depth)


def _check_columns(table: str, names: Sequence[str], reading: Reading) -> None:
    check_names(table, names)
    reading.check(table, names)


def _rows(items: Iterable[Any], depth: int) -> Iterator[Row | BadRow]:
    for number, item in enumerate(items, 1):
        if isinstance(item, Row | BadRow):
            yield item
            continue
        if isinstance(item, str):
            yield Row(number, {"query": str(item)}, bare=True)
            continue
        try:
            yield Row(number, plain_row(item, depth))
        except Unreadable as error:
            fields = named_fields(item, depth) if isinstance(item, Mapping) else {}
            yield BadRow(number, str(error), fields, None if fields else shown(item, 1000))


def _pandas_names(frame: Any) -> list[str]:
    """Return the names of the columns of a pandas data frame, without its index."""
    names = []
    for name in frame.columns:
        if isinstance(name, tuple):
            hint = "flatten the columns"
            refuse("this frame", f"the column {shown(name)} has several levels", hint)
        names.append(str(name))
    return names


def _refuse_value(source: object) -> None:
    """Raise `OperandError` for a value that is not a source, with a hint for common mistakes."""
    if isinstance(source, bytes | bytearray):
        _no_rows(source, "write a path as a string, or decode the bytes")
    if isinstance(source, Mapping):
        names = ", ".join(shown(name, 20) for name in list(source)[:3])
        if any(hasattr(one, "features") for one in source.values()):  # a DatasetDict
            _no_rows(source, f"use one of its splits: {names}")
        _no_rows(source, "for one row, write [row]")
    if callable(getattr(source, "model_dump", None)):
        _no_rows(source, "for one row, write [row]")
    if callable(getattr(source, "collect", None)) and not isinstance(source, Iterable):
        _no_rows(source, "call .collect() on it")
    if isinstance(source, AsyncIterable):
        _no_rows(source, "use an ordinary iterator, not an async one")
    if not isinstance(source, Iterable) and not hasattr(source, "__getitem__"):
        _no_rows(source, "use a path, a data frame, or a list of strings or dicts")


def _no_rows(source: object, hint: str) -> NoReturn:
    what = f"{article(type(source).__name__)} is not a source of rows"
    raise error_of("operand", what, hint)

"""Entry point of the readers: rows of a path, a data frame or an iterable."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence, Sized
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from chainlang.data.csv import read_csv
from chainlang.data.jsonl import read_jsonl
from chainlang.data.lines import refuse
from chainlang.data.parquet import check_names, read_batches, read_parquet
from chainlang.data.read_progress import Extent
from chainlang.data.row import DEEPEST, LARGEST_LINE, BadRow, Header, Row, Unreadable
from chainlang.data.to_json import named_fields, plain_row
from chainlang.diagnostics.render import article, shown
from chainlang.diagnostics.suggest import closest
from chainlang.errors import error_of

KINDS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
_COMPRESSED = (".gz", ".zip", ".zst", ".xz", ".bz2")
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_rows(
    source: Any,
    *,
    line_bytes: int = LARGEST_LINE,
    depth: int = DEEPEST,
    extent: Extent | None = None,
    header: Header | None = None,
) -> Iterator[Row | BadRow]:
    """Return an iterator over the rows of a source; a row that can't be read is a `BadRow`.

    A source is a path (``.jsonl``, ``.ndjson``, ``.csv``, ``.tsv``, ``.parquet``), a data frame of
    pandas or polars, an Arrow table, a Hugging Face dataset, or any iterable of strings, dicts,
    pydantic models and `Row`s. A string is the row ``{"query": text}``, marked as bare.
    `line_bytes` is the maximum size of a line or record, `depth` the maximum nesting of a row's
    values. `extent` is updated while rows are read. `header` is called with the name of a table and
    those of its columns, before its first row.

    Raises `SourceError` for a file that can't be read or has no rows, and `OperandError` for a
    value that is not a source.

    >>> [row.fields for row in read_rows(["What is 17 + 25?", {"text": "a"}])]
    [{'query': 'What is 17 + 25?'}, {'text': 'a'}]
    """
    extent = Extent() if extent is None else extent
    if isinstance(source, str | os.PathLike):
        return extent.counted(_file(Path(source), line_bytes, depth, extent, header))
    rows = _values(source, depth, header)
    if isinstance(source, Sized):
        extent.rows = len(source)
    return extent.counted(rows)


def _file(
    path: Path, line_bytes: int, depth: int, extent: Extent, header: Header | None
) -> Iterator[Row | BadRow]:
    ending = _checked(path)
    if ending == ".parquet":
        return _begun(path, read_parquet(path, depth=depth, extent=extent, header=header))
    if ending in (".csv", ".tsv"):
        delimiter = "," if ending == ".csv" else "\t"
        options: Any = {"line_bytes": line_bytes, "extent": extent, "header": header}
        return _begun(path, read_csv(path, delimiter, **options))
    return _begun(path, read_jsonl(path, line_bytes=line_bytes, depth=depth, extent=extent))


def _begun(path: Path, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
    """Read the first row at once, so that a damaged file is refused early; return all rows.

    Raises `SourceError` for a file without rows.
    """
    first = next(rows, None)
    if first is None:
        refuse(path, "this file has no rows", "it has column names only")
    return chain((first,), rows)


def _values(source: Any, depth: int, header: Header | None) -> Iterator[Row | BadRow]:
    if callable(getattr(source, "to_batches", None)) and hasattr(source, "column_names"):
        _check_columns("this table", source.column_names, header)
        return read_batches(source.to_batches(), depth)
    _refuse_value(source)
    if callable(getattr(source, "itertuples", None)):
        names = _pandas_names(source)
        _check_columns("this frame", names, header)
        # A frame without columns yields an empty tuple for each row.
        tuples = source.itertuples(index=False, name=None)
        return _rows(map(dict, map(partial(zip, names), tuples)), depth)
    if callable(getattr(source, "iter_rows", None)):
        _check_columns("this frame", source.columns, header)
        return _rows(source.iter_rows(named=True), depth)
    of_dataset = getattr(source, "column_names", None)
    if isinstance(of_dataset, list):
        _check_columns("this dataset", of_dataset, header)
    return _rows(source, depth)


def _check_columns(table: str, names: Sequence[str], header: Header | None) -> None:
    check_names(table, names)
    if header is not None:
        header(table, names)


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


def _checked(path: Path) -> str:
    """Return the suffix of a readable file. Raises `SourceError` if it can't be read."""
    try:
        if not path.exists():
            is_text = " " in path.name and path.suffix.lower() not in KINDS
            hint = f"for one row, write [{shown(str(path), 40)}]" if is_text else _beside(path)
            refuse(path, "there is no such file", hint)
        if path.is_dir():
            refuse(path, "this is a folder", f"write the path of a file in it ({', '.join(KINDS)})")
        if not path.is_file():
            refuse(path, "this is not a file")
        ending = path.suffix.lower()
        with path.open("rb") as file:
            begin = file.read(4)
    except OSError as error:
        refuse(path, error.strerror or "this file can't be read")
    except ValueError:  # a NUL in the path
        refuse(path, "this is not a path")
    kinds = [name for magic, name in _MAGIC if begin.startswith(magic)]
    if kinds or ending in _COMPRESSED:
        kind = kinds[0] if kinds else ending[1:]
        hint = "decompress it first" + (f": gunzip {path}" if kind in ("gzip", "gz") else "")
        refuse(path, f"this file is compressed ({kind})", hint)
    if ending == ".json":
        hint = f"convert it to JSON Lines: jq -c '.[]' {path.name} > {path.stem}.jsonl"
        refuse(path, "a JSON list can't be read line by line", hint)
    if ending not in KINDS:
        what = f"{ending} files" if ending else "files without a suffix"
        refuse(path, f"{what} can't be read", f"rows are read from {', '.join(KINDS)}")
    if not begin:
        refuse(path, "this file is empty")
    if begin.startswith(_UTF16) and ending != ".parquet":
        refuse(path, "this file is UTF-16", "save the file as UTF-8")
    return ending


def _beside(path: Path) -> str | None:
    """Return a hint about a file with a similar name in the same folder."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either"
    near = closest(path.name, (one.name for one in path.parent.iterdir()))
    return f"did you mean {path.with_name(near)}?" if near else None


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

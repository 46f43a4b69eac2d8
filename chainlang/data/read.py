"""Rows from whatever holds them: a path, a frame, or anything that can be walked."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sized
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn

from chainlang.data.csv import read_csv
from chainlang.data.jsonl import read_jsonl
from chainlang.data.lines import refuse
from chainlang.data.parquet import check_names, read_batches, read_parquet
from chainlang.data.read_progress import Extent
from chainlang.data.row import DEEPEST, LARGEST_LINE, BadRow, Row, Unreadable
from chainlang.data.to_json import plain_row
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import article, shown
from chainlang.diagnostics.suggest import closest
from chainlang.errors import OperandError

KINDS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
_PACKED = (".gz", ".zip", ".zst", ".xz", ".bz2")
_MAGIC = ((b"\x1f\x8b", "gzip"), (b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "zstd"))
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_rows(
    source: Any,
    *,
    line_bytes: int = LARGEST_LINE,
    depth: int = DEEPEST,
    extent: Extent | None = None,
) -> Iterator[Row | BadRow]:
    """Return the rows of a source, one at a time; what can't be read is a `BadRow`.

    A source is a path (``.jsonl``, ``.ndjson``, ``.csv``, ``.tsv``, ``.parquet``), a frame of
    pandas or polars, an Arrow table, a dataset, or any iterable of texts, dicts, pydantic models
    and `Row`s. A text is the row ``{"query": text}``, marked as bare. `line_bytes` bounds a line of
    a file, and `depth` how deep a row nests; `extent` is told how far the source has been read.

    Raises `SourceError` for a file that can't be read at all or has no rows, `OperandError` for any
    other value.

    >>> [row.fields for row in read_rows(["What is 17 + 25?", {"text": "a"}])]
    [{'query': 'What is 17 + 25?'}, {'text': 'a'}]
    """
    extent = Extent() if extent is None else extent
    if isinstance(source, str | os.PathLike):
        return extent.counted(_file(Path(source), line_bytes, depth, extent))
    rows = _values(source, depth)
    if isinstance(source, Sized):
        extent.rows = len(source)
    return extent.counted(rows)


def _file(path: Path, line_bytes: int, depth: int, extent: Extent) -> Iterator[Row | BadRow]:
    ending = _checked(path)
    if ending == ".parquet":
        return _begun(path, read_parquet(path, depth=depth, extent=extent))
    if ending in (".csv", ".tsv"):
        delimiter = "," if ending == ".csv" else "\t"
        return _begun(path, read_csv(path, delimiter, line_bytes=line_bytes, extent=extent))
    return _begun(path, read_jsonl(path, line_bytes=line_bytes, depth=depth, extent=extent))


def _begun(path: Path, rows: Iterator[Row | BadRow]) -> Iterator[Row | BadRow]:
    """Return rows of which the first has been read, so that a damaged file is refused at once.

    So is one that has none: whoever names a file wants what is in it.
    """
    first = next(rows, None)
    if first is None:
        refuse(path, "this file has no rows", "it has columns, and nothing under them")
    return chain((first,), rows)


def _values(source: Any, depth: int) -> Iterator[Row | BadRow]:
    if callable(getattr(source, "to_batches", None)) and hasattr(source, "column_names"):
        check_names("this table", source.column_names)
        return read_batches(source.to_batches(), depth)
    _refuse_value(source)
    if callable(getattr(source, "itertuples", None)):
        return _rows(_pandas(source), depth)
    if callable(getattr(source, "iter_rows", None)):
        return _rows(source.iter_rows(named=True), depth)
    return _rows(source, depth)


def spoken(source: Any, number: int) -> str:
    """Return how to speak of a row of a source.

    >>> spoken("in.csv", 4), spoken("in.parquet", 4), spoken([{"text": "a"}], 1)
    ('in.csv, line 4', 'in.parquet, row 4', 'row 1')
    """
    if not isinstance(source, str | os.PathLike):
        return f"row {number}"
    path = Path(source)
    return f"{path.name}, {'row' if path.suffix.lower() == '.parquet' else 'line'} {number}"


def _rows(items: Iterable[Any], depth: int) -> Iterator[Row | BadRow]:
    for number, item in enumerate(items, 1):
        if isinstance(item, Row | BadRow):
            yield item
            continue
        try:
            if isinstance(item, str):
                yield Row(number, {"query": str(item)}, bare=True)
            else:
                yield Row(number, plain_row(item, depth))
        except Unreadable as error:
            yield BadRow(number, str(error))


def _pandas(frame: Any) -> Iterator[dict[str, Any]]:
    """Return the rows of a frame; its index is not among the fields."""
    names = []
    for name in frame.columns:
        if isinstance(name, tuple):
            refuse("this frame", f"the column {shown(name)} has several names", "flatten them")
        names.append(str(name))
    check_names("this frame", names)
    # A frame without columns yields an empty tuple for each row.
    return map(dict, map(partial(zip, names), frame.itertuples(index=False, name=None)))


def _checked(path: Path) -> str:
    """Return the ending of a file that can be read. Raises `SourceError` for any other."""
    try:
        if not path.exists():
            is_text = " " in path.name and path.suffix.lower() not in KINDS
            hint = f"for one row, write [{shown(str(path), 40)}]" if is_text else _beside(path)
            refuse(path, "there is no such file", hint)
        if path.is_dir():
            refuse(path, "this is a folder", f"name a file in it ({', '.join(KINDS)})")
        if not path.is_file():
            refuse(path, "this is not a file")
        ending = path.suffix.lower()
        with path.open("rb") as file:
            begin = file.read(4)
    except OSError as error:
        refuse(path, error.strerror or "this file can't be read")
    except ValueError:  # a NUL in the path
        refuse(path, "this is not a path")
    packed = [name for magic, name in _MAGIC if begin.startswith(magic)]
    if packed or ending in _PACKED:
        kind = packed[0] if packed else ending[1:]
        hint = f"unpack it first: gunzip {path}" if kind in ("gzip", "gz") else "unpack it first"
        refuse(path, f"this file is packed ({kind})", hint)
    if ending == ".json":
        hint = f"write one object a line: jq -c '.[]' {path.name} > {path.stem}.jsonl"
        refuse(path, "a JSON list can't be read line by line", hint)
    if ending not in KINDS:
        what = f"{ending} files" if ending else "a file without an ending"
        refuse(path, f"rows are not read from {what}", f"they are from {', '.join(KINDS)}")
    if not begin:
        refuse(path, "this file is empty")
    if begin.startswith(_UTF16) and ending != ".parquet":
        refuse(path, "this file is UTF-16", "save the file as UTF-8")
    return ending


def _beside(path: Path) -> str | None:
    """Return a hint at a file of a name like that, in the same folder."""
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either"
    near = closest(path.name, (one.name for one in path.parent.iterdir()))
    return f"did you mean {path.with_name(near)}?" if near else None


def _refuse_value(source: object) -> None:
    """Raise `OperandError` for a value that holds no rows, and say what it may be meant for."""
    if isinstance(source, bytes | bytearray):
        _no_rows(source, "write a path as text, or decode the bytes")
    if isinstance(source, Mapping):
        names = ", ".join(shown(name, 20) for name in list(source)[:3])
        if any(hasattr(one, "features") for one in source.values()):  # a DatasetDict
            _no_rows(source, f"name one of its splits: {names}")
        _no_rows(source, "for one row, write [row]")
    if callable(getattr(source, "model_dump", None)):
        _no_rows(source, "for one row, write [row]")
    if callable(getattr(source, "collect", None)) and not isinstance(source, Iterable):
        _no_rows(source, "call .collect() on it")
    if isinstance(source, AsyncIterable):
        _no_rows(source, "rows come from an ordinary iterator, without async")
    if not isinstance(source, Iterable) and not hasattr(source, "__getitem__"):
        _no_rows(source, "give a path, a frame, or a list of texts or dicts")


def _no_rows(source: object, hint: str) -> NoReturn:
    what = f"{article(type(source).__name__)} is no source of rows"
    raise OperandError([Diagnostic("operand", what, hint=hint)])

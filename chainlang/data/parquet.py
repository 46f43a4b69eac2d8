"""Reader of Parquet files and Arrow tables, batch by batch, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from chainlang.data.read_progress import Extent
from chainlang.data.reading import Reading
from chainlang.data.refusal import refuse
from chainlang.data.row import DEEPEST, Row
from chainlang.data.to_json import plain_row
from chainlang.diagnostics.render import shown
from chainlang.semantics.not_json import NotJson

_ROWS = 512
"""Maximum number of rows that are decoded together."""
_BYTES = 64 << 20
"""Maximum number of bytes that rows decoded together may have, unless one row has more."""


def read_parquet(
    path: Path, reading: Reading | None = None, extent: Extent | None = None
) -> Iterator[Row]:
    """Yield the rows of a Parquet file, counted from 1. Times are truncated to microseconds.

    Sets the number of rows of `extent`. Raises `SourceError` if pyarrow is not installed, or the
    file is damaged.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        refuse(path, "reading Parquet needs pyarrow", 'pip install "chainlang[parquet]"')
    reading, extent = reading or Reading(), extent or Extent()
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_names(path, names)
            reading.check(str(path), names)
            extent.rows = file.metadata.num_rows
            yield from read_batches(_batches(file), reading.depth, str(path))
    except pa.ArrowException as error:
        refuse(path, f"not a Parquet file, or damaged: {str(error).splitlines()[0]}")
    except OSError as error:
        refuse(path, error.strerror or f"damaged: {str(error).splitlines()[0]}")


def _batches(file: Any) -> Iterator[Any]:
    """Yield the batches of a file, of few rows where values may be large.

    Each value of a column with a dictionary may be as large as all that the row group stores of the
    column, so a small file can stand for a table of any size.
    """
    for group in range(file.num_row_groups):
        about = file.metadata.row_group(group)
        columns = [about.column(at) for at in range(about.num_columns)]
        largest = sum(one.total_uncompressed_size for one in columns if one.has_dictionary_page)
        rows = max(1, min(_ROWS, _BYTES // max(1, largest)))
        yield from file.iter_batches(batch_size=rows, row_groups=[group])


def check_names(source: object, names: Iterable[str]) -> None:
    """Raise `SourceError` if two columns have the same name."""
    seen = set()
    for name in names:
        if name in seen:
            refuse(source, f"two columns have the name {shown(name)}", "rename one of them")
        seen.add(name)


def read_batches(
    batches: Iterable[Any], depth: int = DEEPEST, file: str | None = None
) -> Iterator[Row]:
    """Yield the rows of Arrow record batches."""
    number = 0
    for batch in batches:
        for row in _values(_without_nanoseconds(batch)):
            number += 1
            yield Row(number, plain_row(row, depth), file=file)


def _values(batch: Any) -> Iterator[dict[str, Any]]:
    try:
        yield from batch.to_pylist()
    except ValueError:  # text that is not UTF-8, a date beyond the year 9999: find the values
        for at in range(batch.num_rows):
            names = batch.schema.names
            yield {name: _value(batch.column(i)[at], name) for i, name in enumerate(names)}


def _value(scalar: Any, name: str) -> Any:
    try:
        return scalar.as_py()
    except ValueError as error:
        return NotJson(f"{name}: {error}", scalar)


def _without_nanoseconds(batch: Any) -> Any:
    """Return a batch whose times Python can hold, whether pandas is installed or not."""
    import pyarrow as pa

    for at, column in enumerate(batch.schema):
        kind = column.type
        if not (pa.types.is_timestamp(kind) or pa.types.is_duration(kind)) or kind.unit != "ns":
            continue
        coarse = pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else pa.duration("us")
        values = batch.column(at).cast(coarse, safe=False)
        batch = batch.set_column(at, column.name, values)
    return batch

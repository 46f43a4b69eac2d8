"""From the rows of a source to the records that they start as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from chainlang.analysis.program import Program
from chainlang.data import BadRow, Extent, Row, check_ids, read_rows, row_label
from chainlang.runtime.outcome import RowFailure
from chainlang.semantics.input_schema import InputError
from chainlang.semantics.record import Record


def rows_of(
    source: Any, program: Program, limit: int | None, extent: Extent
) -> Iterator[Record | RowFailure]:
    """Return the records that the rows of a source start as, or why they are none.

    `extent` counts how far the source has been read. Raises `SourceError` for one that can't be.
    """
    rows = check_ids(read_rows(source, extent=extent))
    return _starts(rows if limit is None else islice(rows, limit), program, source)


def start_of(row: Any, program: Program) -> Record | RowFailure:
    """Return the record that one row starts as, or why it is none."""
    return next(_starts(read_rows([row]), program, [row]))


def _starts(
    rows: Iterable[Row | BadRow], program: Program, source: Any
) -> Iterator[Record | RowFailure]:
    validator = program.row_validator
    for row in rows:
        if isinstance(row, BadRow):
            where = row_label(source, row.number)
            yield RowFailure(row.message, line=row.number, row=where)
            continue
        try:
            yield validator.record(row.fields, row.number, bare=row.bare)
        except InputError as error:
            where = row_label(source, row.number)
            yield RowFailure(str(error), line=row.number, row=where)

"""Initial records of the rows of a source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from chainlang.analysis.program import Program
from chainlang.data import BadRow, Extent, Row, check_ids, read_rows, row_label
from chainlang.semantics.input_schema import InputError
from chainlang.semantics.record import Record
from chainlang.semantics.row_failure import RowFailure


def rows_of(
    source: Any, program: Program, limit: int | None, extent: Extent
) -> Iterator[Record | RowFailure]:
    """Return the initial record of each row of a source, or a failure for an invalid row.

    `extent` counts the rows that were read. Raises `SourceError` if the source can't be read.
    """
    rows = check_ids(read_rows(source, extent=extent))
    return _starts(rows if limit is None else islice(rows, limit), program, source)


def start_of(row: Any, program: Program) -> Record | RowFailure:
    """Return the initial record of one row, or a failure if it is invalid."""
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

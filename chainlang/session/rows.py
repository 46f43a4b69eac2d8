"""Initial records of the rows of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import Any

from attrs import define

from chainlang.analysis.program import Program
from chainlang.data import BadRow, Extent, Row, check_ids, read_rows
from chainlang.semantics.input_schema import InputError
from chainlang.semantics.not_json import json_only
from chainlang.semantics.record import Record
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.seeds import row_id


def rows_of(
    source: Any, program: Program, limit: int | None, extent: Extent
) -> Iterator[Record | RowFailure]:
    """Return the initial record of each row of a source, or a failure for an invalid row.

    `extent` counts the rows that were read. Raises `SourceError` if the source can't be read.
    """
    rows = check_ids(read_rows(source, extent=extent))
    return _starts(rows if limit is None else islice(rows, limit), program)


@define(eq=False)
class Rows:
    """The initial records of a source, the first of which can be read ahead."""

    _read: Callable[[], Iterator[Record | RowFailure]]
    """Reads the source from its beginning."""
    _left: Iterator[Record | RowFailure]
    can_repeat: bool
    """Whether the source can be read again. If it can't, rows read ahead are kept in memory."""

    @staticmethod
    def of(source: Any, program: Program, limit: int | None, extent: Extent) -> Rows:
        """Return the rows of a source, as `rows_of` does."""
        return Rows(
            lambda: rows_of(source, program, limit, Extent()),
            rows_of(source, program, limit, extent),
            can_repeat=_can_repeat(source),
        )

    def __iter__(self) -> Iterator[Record | RowFailure]:
        """Return this iterator."""
        return self

    def __next__(self) -> Record | RowFailure:
        """Return the next row."""
        return next(self._left)

    def ahead(self, count: int | None = None) -> Iterator[Record | RowFailure]:
        """Return the first rows, or all, before any is run; they are returned again later."""
        if self.can_repeat:
            return islice(self._read(), count)
        first = list(islice(self._left, count))
        self._left = chain(first, self._left)
        return iter(first)

    def watch(
        self, through: Callable[[Iterator[Record | RowFailure]], Iterator[Record | RowFailure]]
    ) -> None:
        """Pass the rows that are left through a function."""
        self._left = through(self._left)


def _can_repeat(source: Any) -> bool:
    if isinstance(source, str | PathLike):
        return Path(source).is_file()  # a pipe gives its rows once
    return not isinstance(source, Iterator)


def start_of(row: Any, program: Program) -> Record | RowFailure:
    """Return the initial record of one row, or a failure if it is invalid."""
    return next(_starts(read_rows([row]), program))


def _starts(rows: Iterable[Row | BadRow], program: Program) -> Iterator[Record | RowFailure]:
    validator = program.row_validator
    for row in rows:
        if isinstance(row, BadRow):
            yield _failure(row, row.message, row.text)
            continue
        try:
            yield validator.record(row.fields, row.origin, bare=row.bare)
        except InputError as error:
            yield _failure(row, str(error))


def _failure(row: Row | BadRow, reason: str, text: str | None = None) -> RowFailure:
    """Return the failure of a row, with its id, its fields and where it stands."""
    content = json_only(row.fields) or {"text": text}
    return RowFailure(reason, text=text, origin=row.origin, id=row_id(content), fields=row.fields)

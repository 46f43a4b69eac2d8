"""Initial records of the rows of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import Any

from attrs import asdict, define, evolve

from chainlang.analysis.program import Program
from chainlang.data import (
    BadRow,
    Extent,
    Mark,
    Marks,
    OtherRowsError,
    Passing,
    Reading,
    Row,
    Seen,
    check_ids,
    read_row,
    read_rows,
)
from chainlang.errors import raise_errors
from chainlang.semantics.events import Event
from chainlang.semantics.header_faults import header_faults
from chainlang.semantics.input_schema import InputError, RowValidator
from chainlang.semantics.not_json import json_only, left_out, omissions
from chainlang.semantics.origin import STDIN
from chainlang.semantics.record import Record
from chainlang.semantics.row_failure import RowFailure
from chainlang.semantics.seeds import is_of_content, row_id
from chainlang.session.inputs import Split
from chainlang.settings import RowSettings, Shard


def rows_of(
    source: Any,
    program: Program,
    settings: RowSettings,
    extent: Extent,
    passing: Passing | None = None,
) -> Iterator[Record | RowFailure]:
    """Return the initial record of each row of a source, or a failure for an invalid row.

    `extent` counts the rows that were read. Raises `SourceError` if the source can't be read, or
    its columns are not those declared, and `OtherRowsError` if the rows of `passing`, which are
    left out, can't be passed.
    """

    def check(table: str, columns: Sequence[str]) -> None:
        raise_errors(header_faults(program.row_validator, table, columns, program.read_fields))

    reading = Reading(
        encoding=settings.encoding,
        delimiter=settings.delimiter,
        rename=dict(settings.rename),
        header=check,
    )
    rows = check_ids(read_rows(source, reading, extent=extent, passing=passing), passing)
    passed = 0 if passing is None else passing.mark.rows
    extent.taken = passed
    most = None if settings.limit is None else settings.limit - passed
    return _compared(_starts(islice(rows, most), program))


def _compared(rows: Iterator[Record | RowFailure]) -> Iterator[Record | RowFailure]:
    """Yield the rows; a row whose identity an earlier one has is marked as equal to it."""
    with closing(Seen()) as seen:
        for row in rows:
            if isinstance(row, Record) and is_of_content(row.id):
                first = seen.add(row.id, row.origin)
                if first is not None:
                    row = evolve(row, equal_to=row.origin.beside(first))  # noqa: PLW2901
            yield row


@define(eq=False)
class Rows:
    """The initial records of a source, the first of which can be read ahead."""

    _read: Callable[[], Iterator[Record | RowFailure]]
    """Reads the source from its beginning."""
    _left: Iterator[Record | RowFailure]
    can_repeat: bool
    """Whether the source can be read again. If it can't, rows read ahead are kept in memory."""
    _behind: Callable[[Mark], Iterator[Record | RowFailure]] | None = None
    """Returns the rows behind a mark; None if no row can be passed."""

    @staticmethod
    def of(
        source: Any, program: Program, settings: RowSettings, extent: Extent, split: Split
    ) -> Rows:
        """Return the rows of a source, as `rows_of` does; of a shard, those that are in it."""
        if not split.is_split:
            return Rows(
                lambda: rows_of(source, program, settings, Extent()),
                rows_of(source, program, settings, extent),
                can_repeat=can_repeat(source),
                behind=lambda mark: _rows_behind(mark, source, program, settings, extent),
            )
        again = Split(split.shard, is_split=True)
        return Rows(
            lambda: again.of(rows_of(source, program, settings, Extent())),
            split.of(rows_of(source, program, settings, extent)),
            can_repeat=can_repeat(source),
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

    def passes(self, mark: Mark) -> bool:
        """Pass the rows up to a mark, before any row is read; return whether that was possible."""
        if self._behind is None or not self.can_repeat:
            return False
        try:
            self._left = self._behind(mark)
        except OtherRowsError:
            return False
        return True

    def watch(
        self, through: Callable[[Iterator[Record | RowFailure]], Iterator[Record | RowFailure]]
    ) -> None:
        """Pass the rows that are left through a function."""
        self._left, self._behind = through(self._left), None


def _rows_behind(
    mark: Mark, source: Any, program: Program, settings: RowSettings, extent: Extent
) -> Iterator[Record | RowFailure]:
    """Return the rows behind a mark. Raises `OtherRowsError`, and leaves the extent as it is."""
    before = asdict(extent, recurse=False)
    extent.read, extent.marks = 0, Marks()
    try:
        if settings.limit is not None and settings.limit < mark.rows:
            raise OtherRowsError
        return rows_of(source, program, settings, extent, Passing(mark))
    except BaseException:
        for name, value in before.items():
            setattr(extent, name, value)
        raise


def can_repeat(source: Any) -> bool:
    """Return whether a source can be read again; a pipe and an iterator can't."""
    if isinstance(source, str | PathLike):
        source = [Path(source)]
    several = source if isinstance(source, list | tuple) else ()
    once = any(isinstance(one, PathLike) and _is_pipe(Path(one)) for one in several)
    return not isinstance(source, Iterator) and not once


def _is_pipe(path: Path) -> bool:
    """Return whether a file gives its rows once."""
    return str(path) == STDIN or not (path.is_file() or path.is_dir())


def expected_rows(extent: Extent, limit: int | None, shard: Shard | None = None) -> float | None:
    """Return the expected number of rows, of a shard those in it; None if it is unknown."""
    found = extent.expected()
    found = found if limit is None else limit if found is None else min(found, limit)
    if found is None or shard is None:
        return found
    return shard.rows(int(found)) if found == int(found) else found / shard.of


def start_of(row: Any, program: Program) -> Record | RowFailure:
    """Return the initial record of the row of a call, or a failure if it is invalid.

    It may have no other fields than those declared, since they are written for this call; those of
    a table pass through.
    """
    one = read_row(row)
    if isinstance(one, BadRow) and isinstance(row, list | tuple):
        one = evolve(one, message=f"{one.message}; several rows are for map: qa.map([...])")
    return _start(one, program, program.row_validator, strict=True)


def _starts(rows: Iterable[Row | BadRow], program: Program) -> Iterator[Record | RowFailure]:
    validator = program.row_validator
    return (_start(row, program, validator) for row in rows)


def _start(
    row: Row | BadRow, program: Program, validator: RowValidator, *, strict: bool = False
) -> Record | RowFailure:
    if isinstance(row, BadRow):
        return _failure(row, row.message, row.text)
    try:
        record = validator.record(
            row.fields, row.origin, bare=row.bare, strict=strict, is_text=row.is_text
        )
        return _cells_checked(record, program) if row.is_text else record
    except InputError as error:
        return _failure(row, str(error))


_BLANK = "the cell is empty, and a prompt reads it"


def _cells_checked(record: Record, program: Program) -> Record:
    """Return the record of a row of CSV, which knows the empty cells that prompts read.

    Raises `InputError` for an empty query, and if all that prompts read is empty: the reply would
    be about nothing, and look as any other.
    """
    read = program.printed_fields
    if not read:
        return record
    values = {name: record.row[name] for name in read if name in record.row}
    if "query" in read and record.query is not None:
        values["query"] = record.query
    blank = tuple(name for name, one in values.items() if isinstance(one, str) and not one.strip())
    if not blank:
        return record
    if "query" in blank or len(blank) == len(values):
        raise InputError(f"{name}: {_BLANK}" for name in blank)
    events = (Event("blank", (), f"{name}: {_BLANK}") for name in blank)
    return evolve(record, of_row=(*record.of_row, *events))


def _failure(row: Row | BadRow, reason: str, text: str | None = None) -> RowFailure:
    """Return the failure of a row, with its id, its fields and where it stands."""
    content = json_only(row.fields) or {"text": text}
    return RowFailure(
        reason,
        text=text,
        origin=row.origin,
        id=row_id(content),
        fields=row.fields,
        events=omissions(left_out(row.fields)),
    )

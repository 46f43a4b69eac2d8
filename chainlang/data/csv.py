"""Reader of CSV and TSV files: a header, then a record for each row. All values are strings.

Quoting is that of RFC 4180; a quoted value may contain line breaks. After a malformed record,
reading resumes at the line after the record's first, so that an unclosed quote does not swallow the
rows below it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from attrs import define, evolve, field

from chainlang.data.lines import Line, read_lines
from chainlang.data.read_progress import Extent
from chainlang.data.reading import Reading
from chainlang.data.refusal import refuse
from chainlang.data.row import BadRow, Row, Unreadable, beginning
from chainlang.diagnostics.render import shown

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def read_csv(
    path: Path,
    delimiter: str = ",",
    reading: Reading | None = None,
    extent: Extent | None = None,
) -> Iterator[Row | BadRow]:
    """Yield the rows of a file. Empty lines are skipped, but count as lines.

    `delimiter` is that of the file's suffix. Raises `SourceError` for an invalid header, and for
    one with another delimiter.
    """
    reading = reading or Reading()
    most, is_sure = reading.line_bytes, reading.delimiter is not None
    delimiter = reading.delimiter or delimiter
    records = _records(read_lines(path, most, extent, reading.encoding), delimiter, most)
    number, names = next(records, (1, []))
    if isinstance(names, BadRow):
        _refuse_header(path, number, names, delimiter, is_sure=is_sure)
    file = str(path)
    _check_header(path, names)
    if not is_sure:
        _check_delimiter(path, delimiter, names)
    reading.check(file, names)
    for number, values in records:
        if isinstance(values, BadRow):
            yield evolve(values, file=file)
            continue
        fields = dict(zip(names, values, strict=False))
        if len(values) == len(names):
            yield Row(number, fields, file=file, is_text=True)
        else:
            if not is_sure:  # checked at the first row, before any is run
                _check_delimiter(path, delimiter, names, values)
            message = _ragged(len(values), len(names), delimiter)
            text = beginning(delimiter.join(values))
            yield BadRow(number, message, fields, text, file)


def _refuse_header(
    path: Path, number: int, bad: BadRow, delimiter: str, *, is_sure: bool
) -> NoReturn:
    """Raise `SourceError` for a header that can't be read, with the delimiter that would do."""
    for other in () if is_sure else _DELIMITERS:
        record = _Record(other)
        with suppress(Unreadable):
            record.add(Line(number, bad.text or ""))
            if len(record.values) > 1 and not record.open and other != delimiter:
                _refuse_delimiter(path, other)
    refuse(path, f"line {number}, the header: {bad.message}")


def _check_delimiter(
    path: Path, delimiter: str, names: list[str], values: list[str] | None = None
) -> None:
    """Raise `SourceError` if another delimiter fits the header alone, or a row that this does not.

    It fits if it makes columns of a header that is one column otherwise, or as many in the row.
    """
    for other in _DELIMITERS:
        columns = delimiter.join(names).count(other)
        if other == delimiter or not columns:
            continue
        if len(names) == 1 or (values and delimiter.join(values).count(other) == columns):
            _refuse_delimiter(path, other)


def _refuse_delimiter(path: Path, delimiter: str) -> NoReturn:
    what = f"the columns of the header are separated by {_DELIMITERS[delimiter]}"
    written = repr(delimiter)
    shell = "$'\\t'" if delimiter == "\t" else written
    refuse(path, what, f"name the delimiter: --delimiter {shell}, in Python delimiter={written}")


def _check_header(path: Path, header: list[str]) -> None:
    if not header:
        refuse(path, "this file is empty", "the first line names the columns")
    seen = set()
    for name in header:
        if name in seen:
            refuse(path, f"the header names the column {shown(name)} twice", "rename one of them")
        seen.add(name)


def _ragged(count: int, wanted: int, delimiter: str) -> str:
    has = "1 column" if count == 1 else f"{count} columns"
    inside = {",": "a comma", "\t": "a tab"}.get(delimiter, f"a {delimiter}")
    hint = f": a text with {inside} in it stands in quotes" if count > wanted else ""
    return f"this row has {has}, and the header has {wanted}{hint}"


def _records(
    lines: Iterator[Line], delimiter: str, most: int
) -> Iterator[tuple[int, list[str] | BadRow]]:
    """Yield each record's first line number with its values, or with the error in its place."""
    again: deque[Line] = deque()  # lines to read again, after a malformed record
    unclosed = 0  # a quote that is open at the end of a line before this one is never closed
    while line := again.popleft() if again else next(lines, None):
        taken: list[Line] = []
        size = len(line.text)
        record = _Record(delimiter)
        try:
            record.add(line)
            while record.open:
                more = again.popleft() if again else next(lines, None)
                if more is not None:
                    taken.append(more)
                    size += len(more.text)
                if more is None or size > most or line.number < unclosed:
                    raise Unreadable("a quote is opened here and never closed")
                record.add(more)
        except Unreadable as error:
            if taken:
                unclosed = max(unclosed, taken[-1].number)
            again.extendleft(reversed(taken))
            yield line.number, BadRow(line.number, str(error), text=beginning(line.text))
            continue
        if line.text or taken:
            yield line.number, record.values


@define
class _Record:
    """A record while it is parsed."""

    delimiter: str
    values: list[str] = field(factory=list)
    pieces: list[str] = field(factory=list)
    """Parts of the quoted value that is being parsed."""
    open: bool = False
    """Whether a quoted value continues on the next line."""

    def add(self, line: Line) -> None:
        """Parse one more line. Raises `Unreadable`."""
        if line.error is not None:
            raise Unreadable(line.error)
        text = line.text
        if "\0" in text:
            raise Unreadable("a NUL character")
        if not self.open and '"' not in text:
            self.values += text.split(self.delimiter)
            return
        at = 0
        while True:
            if self.open:
                at = self.quoted(text, at)
                if self.open:
                    self.pieces.append(line.end)
                    return
                if at == len(text):
                    return
                if text[at] != self.delimiter:
                    raise Unreadable(f"column {len(self.values)}: text after the closing quote")
                at += 1
            if text.startswith('"', at):
                self.open = True
                at += 1
                continue
            end = text.find(self.delimiter, at)
            self.values.append(text[at:] if end < 0 else text[at:end])
            if end < 0:
                return
            at = end + 1

    def quoted(self, text: str, at: int) -> int:
        """Parse inside quotes; return the position after the closing quote, or the line's end."""
        while True:
            end = text.find('"', at)
            self.pieces.append(text[at:] if end < 0 else text[at:end])
            if end < 0:
                return len(text)
            if not text.startswith('"', end + 1):
                self.values.append("".join(self.pieces))
                self.pieces.clear()
                self.open = False
                return end + 1
            self.pieces.append('"')
            at = end + 2

"""Numbered lines of a text file, with a maximum length."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

from attrs import frozen

from chainlang.data.opened import opened
from chainlang.data.passing import Passing
from chainlang.data.read_progress import Extent
from chainlang.data.row import LARGEST_LINE
from chainlang.protocol.quick_init import quick_init

_CHUNK = 1 << 20
_SHOWN = 4000  # bytes of a line with an error


_NAME_IT = "if the file is in another encoding, name it: --encoding latin-1"


@quick_init
@frozen(weakref_slot=False)
class Line:
    """A line of a file, or an error in its place."""

    number: int
    text: str
    """Text without its line end; of a line with an error, its beginning."""
    end: str = "\n"
    """Line end: a newline, a carriage return and a newline, or nothing."""
    error: str | None = None


def read_lines(
    path: Path,
    most: int = LARGEST_LINE,
    extent: Extent | None = None,
    encoding: str | None = None,
    passing: Passing | None = None,
) -> Iterator[Line]:
    """Yield the lines of a file, counted from 1. A byte order mark is dropped.

    Only a newline ends a line. A line of more than `most` bytes of UTF-8, or one that is not text
    in the encoding, has an error. Updates the bytes and the marks of `extent`. Raises `SourceError`
    if the file can't be read. The lines begin after the rows that are passed, if any are; raises
    `OtherRowsError` if the file has other ones.
    """
    extent = extent or Extent()
    marks = extent.marks
    with opened(path, encoding) as file:
        number = 0
        if passing is not None:
            passing.over(path, file, marks)
            number, extent.read = passing.mark.line, passing.mark.size
        while data := file.readline(most + 2):
            number += 1
            extent.read += len(data)
            if marks is not None:
                marks.read(data)
            if len(data) <= most and data.isascii() and data[-2:-1] != b"\r":  # as most lines are
                body = data.removesuffix(b"\n")
                yield Line(number, body.decode(), "\n" if len(body) < len(data) else "")
            else:
                yield _line(number, data, most, file, encoding)


def _line(number: int, data: bytes, most: int, file: BufferedReader, encoding: str | None) -> Line:
    body = data.removesuffix(b"\n")
    end = data[len(body) :].decode()
    if len(body) > most:
        while data and not data.endswith(b"\n"):
            data = file.readline(_CHUNK)
        begin = body[:_SHOWN].decode("utf-8", "backslashreplace")
        return Line(number, begin, end, f"a line of more than {most:,} bytes, which is the limit")
    if end and body.endswith(b"\r"):
        body, end = body[:-1], "\r\n"
    try:
        return Line(number, body.decode("utf-8"), end)
    except UnicodeDecodeError as error:
        what = (
            f"byte 0x{body[error.start]:02x} at column {error.start + 1} is not UTF-8: {_NAME_IT}"
        )
        if encoding is not None:
            what = f"this line is not text in {encoding}"
        return Line(number, body[:_SHOWN].decode("utf-8", "backslashreplace"), end, what)

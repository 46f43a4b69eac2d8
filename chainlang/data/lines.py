"""Numbered lines of a text file, with a maximum length."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

from attrs import frozen

from chainlang.data.read_progress import Extent
from chainlang.data.row import LARGEST_LINE
from chainlang.errors import error_of

_BOM = b"\xef\xbb\xbf"
_CHUNK = 1 << 20
_SHOWN = 4000  # bytes of a line with an error


@frozen
class Line:
    """A line of a file, or an error in its place."""

    number: int
    text: str
    """Text without its line end; of a line with an error, its beginning."""
    end: str = "\n"
    """Line end: a newline, a carriage return and a newline, or nothing."""
    error: str | None = None


def read_lines(
    path: Path, most: int = LARGEST_LINE, extent: Extent | None = None
) -> Iterator[Line]:
    """Yield the lines of a file, counted from 1. A byte order mark is dropped.

    Only a newline ends a line. A line of more than `most` bytes, or one that is not UTF-8, has an
    error. Updates the bytes of `extent`. Raises `SourceError` if the file can't be read.
    """
    extent = extent or Extent()
    try:
        with path.open("rb") as file:
            number = 0
            extent.size = os.fstat(file.fileno()).st_size
            while data := file.readline(most + 2):
                number += 1
                extent.read += len(data)
                if number == 1:
                    data = data.removeprefix(_BOM)
                yield _line(number, data, most, file)
    except OSError as error:
        refuse(path, error.strerror or "this file can't be read")


def _line(number: int, data: bytes, most: int, file: BufferedReader) -> Line:
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
        byte = f"byte 0x{body[error.start]:02x} at column {error.start + 1} is not UTF-8"
        return Line(number, body[:_SHOWN].decode("utf-8", "backslashreplace"), end, byte)


def refuse(path: object, message: str, hint: str | None = None) -> NoReturn:
    """Raise a `SourceError` about a file of rows."""
    raise error_of("file", f"{path}: {message}", hint)

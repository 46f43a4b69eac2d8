"""Text files as UTF-8 bytes: decompressed, and converted from their encoding."""

from __future__ import annotations

import codecs
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, cast

from chainlang.data.refusal import refuse
from chainlang.semantics.origin import STDIN

_LOOK = 1 << 16
"""Bytes from the beginning of a file that its encoding is guessed from."""
_REFUSED = {b"PK\x03\x04": "zip", b"\xfd7zXZ": "xz", b"BZh": "bzip2"}
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BYTE = "chainlang.undecodable"
"""Error handler that turns undecodable bytes into surrogates, so that only their line fails."""


@contextmanager
def opened(path: Path, encoding: str | None = None) -> Iterator[BufferedReader]:
    """Open a file, or the standard input (``-``), as UTF-8 without a byte order mark.

    gzip and Zstandard are decompressed, whatever the name of the file. Bytes that the encoding
    does not have become bytes that are not UTF-8. Raises `SourceError` for a file that can't be
    read, and for one that is in another encoding than UTF-8 if none is named.
    """
    try:
        with _raw(path) as file:
            data = _decompressed(path, file)
            begin = data.peek(_LOOK)[:_LOOK]
            if encoding is None and (name := guessed(begin)) is not None:
                if b"\0" in begin and not name.startswith("utf"):
                    refuse(path, "this file is binary, and no table of texts")
                hint = f"name its encoding: --encoding {name}, in Python encoding={name!r}"
                refuse(path, f"this file is not UTF-8; it looks like {name}", hint)
            if encoding is not None and codecs.lookup(encoding).name != "utf-8":
                data = BufferedReader(_Converted(data, encoding), _LOOK)
            if data.peek(3).startswith(codecs.BOM_UTF8):
                data.read(3)
            yield data
    except EOFError:
        refuse(path, "this file is compressed, and ends too early", "copy or download it again")
    except zlib.error as error:
        refuse(path, f"damaged: {error}")
    except OSError as error:
        refuse(path, error.strerror or f"this file can't be read: {error}")


@contextmanager
def _raw(path: Path) -> Iterator[BufferedReader]:
    if str(path) == STDIN:
        yield cast("BufferedReader", sys.stdin.buffer)
        return
    with path.open("rb", buffering=_LOOK) as file:
        yield cast("BufferedReader", file)


def kind_of_stdin(encoding: str | None) -> str:
    """Return the format of the standard input: JSON Lines if it begins with a brace, else CSV."""
    begin = cast("BufferedReader", sys.stdin.buffer).peek(_LOOK)
    if begin.startswith(_GZIP):
        begin = zlib.decompressobj(31).decompress(begin)
    text = begin[:1000].decode(encoding or "utf-8", "replace").lstrip("\ufeff \t\r\n")
    return ".jsonl" if text.startswith("{") or begin.startswith(_ZSTD) else ".csv"


def _decompressed(path: Path, file: BufferedReader) -> BufferedReader:
    begin = file.peek(8)[:8]
    for magic, kind in _REFUSED.items():
        if begin.startswith(magic):
            refuse(path, f"this file is compressed ({kind})", "decompress it first, or use gzip")
    if begin.startswith(_GZIP):
        return BufferedReader(cast("Any", gzip.GzipFile(fileobj=file)), _LOOK)
    if begin.startswith(_ZSTD):
        return BufferedReader(_zstd(path, file), _LOOK)
    return file


def _zstd(path: Path, file: BinaryIO) -> Any:
    if sys.version_info >= (3, 14):
        from compression.zstd import ZstdFile

        return ZstdFile(file)
    try:
        from zstandard import ZstdDecompressor, ZstdError
    except ImportError:
        refuse(path, "reading Zstandard needs zstandard", 'pip install "chainlang[zstd]"')
    return _Zstd(ZstdDecompressor().stream_reader(file, read_across_frames=True), ZstdError)


class _Zstd(io.RawIOBase):
    """The stream of zstandard, whose errors become those of a file."""

    def __init__(self, stream: Any, error: type[Exception]) -> None:
        self._stream, self._error = stream, error

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        try:
            return int(self._stream.readinto(buffer))
        except self._error as error:
            raise OSError(f"damaged: {error}") from error


class _Converted(io.RawIOBase):
    """Bytes of another encoding as UTF-8."""

    def __init__(self, file: BufferedReader, encoding: str) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder(encoding)(_BYTE)
        self._left = b""

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        while not self._left:
            data = self._file.read(_LOOK)
            text = self._decoder.decode(data, final=not data)
            self._left = text.encode("utf-8", "surrogatepass")
            if not data:
                break
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def _surrogates(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\udcff" * (error.end - error.start), error.end


codecs.register_error(_BYTE, _surrogates)


def guessed(begin: bytes) -> str | None:
    """Return the encoding of a text if it is not UTF-8, from its beginning; None if it may be.

    A line alone may be damaged, and fails by itself. A text is in another encoding if it has a mark
    of UTF-16 or UTF-32, or zeros in turns; or if the first line that is not ASCII is not UTF-8, and
    neither is any other of at least two.

    >>> guessed("é\\nü\\n".encode("latin-1")), guessed("a,b\\n".encode("utf-16"))
    ('latin-1', 'utf-16')
    >>> guessed("é\\n".encode()), guessed(b"a,b\\n1,\\xff\\n")
    (None, None)
    """
    for mark, name in _MARKS:
        if begin.startswith(mark):
            return name
    for at, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros = begin[at::2].count(0)
        if zeros > 4 and zeros > 0.4 * len(begin[at::2]) and begin[1 - at :: 2].count(0) == 0:
            return name
    lines = begin.split(b"\n")
    if len(begin) >= _LOOK:
        lines.pop()  # it may end inside a character
    odd = [line for line in lines if not line.isascii()]
    if len(odd) < 2 or any(map(_is_utf8, odd)):
        return None
    is_windows = any(0x80 <= byte < 0xA0 for line in odd for byte in line)
    return "cp1252" if is_windows else "latin-1"


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True

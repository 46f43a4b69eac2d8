"""Server-sent events: the data of each, as it is received.

Reading is linear in what is received: nothing is searched or copied again with the next bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

_LONGEST_EVENT = 8 << 20  # bytes: a whole reply in one event, with the logprobs of its tokens


class LongEvent(Exception):
    """An event that is longer than any of the protocol, such as a line without an end."""


@define
class EventStream:
    """A stream of events as far as it has been received."""

    _line: list[bytes] = field(factory=list)
    """Parts of the line whose end has not been received."""
    _data: list[bytes] = field(factory=list)
    """Lines of data of the event whose end has not been received."""
    _length: int = 0
    """Bytes of both."""

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Yield the data of each complete event. Only a newline ends a line."""
        *ends, rest = received.split(b"\n")
        for end in ends:
            self._hold(end)
            whole, self._line = b"".join(self._line), []
            line = whole.removesuffix(b"\r")
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
                continue
            self._length -= len(whole)
            if not line and self._data:
                data, self._data, self._length = b"\n".join(self._data), [], 0
                yield data
        self._hold(rest)

    def _hold(self, part: bytes) -> None:
        """Keep a part of a line. Raises `LongEvent`."""
        self._line.append(part)
        self._length += len(part)
        if self._length > _LONGEST_EVENT:
            raise LongEvent(f"an event of more than {_LONGEST_EVENT:,} bytes")

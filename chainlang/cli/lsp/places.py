"""Positions of the protocol, and offsets of a text."""

from __future__ import annotations

from attrs import frozen
from lsprotocol import types
from pygls.workspace import PositionCodec
from pygls.workspace.position_codec import ServerTextPosition, ServerTextRange

from chainlang.diagnostics.source import Source


@frozen
class Places:
    """Positions of the protocol for offsets of one text, and back."""

    source: Source
    codec: PositionCodec

    def range(self, start: int, end: int) -> types.Range:
        """Return the range between two offsets, in the units that the client counts."""
        found = ServerTextRange(self._position(start), self._position(end))
        return self.codec.range_to_client_units(self._lines(), found)

    def offset(self, position: types.Position) -> int:
        """Return the offset of a position."""
        lines = self._lines()
        found = self.codec.position_from_client_units(lines, position)
        return sum(map(len, lines[: found.line])) + found.character

    def _position(self, offset: int) -> ServerTextPosition:
        line, column = self.source.position(offset)
        return ServerTextPosition(line - 1, column - 1)

    def _lines(self) -> list[str]:
        return self.source.text.splitlines(keepends=True)

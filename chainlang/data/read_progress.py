"""How long a source of rows is, as far as it can be known without reading it twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import define

from chainlang.data.row import BadRow, Row


@define(eq=False)
class Extent:
    """How far a source has been read, filled in while it is read.

    >>> Extent(taken=10, read=500, size=2000).expected()
    40.0
    """

    taken: int = 0
    """Rows so far."""
    rows: int | None = None
    """All rows, where the source knows."""
    read: int = 0
    """Bytes so far, of a file of lines."""
    size: int = 0
    """Bytes of that file."""

    def expected(self) -> float | None:
        """Return how many rows there will be: exactly, or by the bytes so far; None if unknown."""
        if self.rows is not None:
            return self.rows
        return self.taken * self.size / self.read if self.read else None

    def counted(self, rows: Iterable[Row | BadRow]) -> Iterator[Row | BadRow]:
        """Yield the rows, and count them."""
        for row in rows:
            self.taken += 1
            yield row

"""Progress of reading a source: rows and bytes so far, and the expected total."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import define

from chainlang.data.passing import Marks
from chainlang.data.row import BadRow, Row


@define(eq=False)
class Extent:
    """Progress of reading a source, updated while rows are read.

    >>> Extent(taken=10, read=500, size=2000).expected()
    40.0
    """

    taken: int = 0
    """Rows read so far."""
    rows: int | None = None
    """Total number of rows; None if unknown."""
    read: int = 0
    """Bytes read so far, of a text file."""
    size: int = 0
    """Size of the text file in bytes."""
    marks: Marks | None = None
    """Marks of the rows so far; None if no run will pass them."""

    def expected(self) -> float | None:
        """Return the total number of rows: exact, or estimated from bytes; None if unknown."""
        if self.rows is not None:
            return self.rows
        return self.taken * self.size / self.read if self.read else None

    def counted(self, rows: Iterable[Row | BadRow]) -> Iterator[Row | BadRow]:
        """Yield rows and count them."""
        for row in rows:
            self.taken += 1
            yield row

"""Origin of a row: its number in its source, and the file."""

from __future__ import annotations

from attrs import frozen

from chainlang.protocol.quick_init import quick_init

STDIN = "-"
"""Path that stands for the standard input."""


@quick_init
@frozen(weakref_slot=False)
class Origin:
    """Origin of a row, which prints as its label in messages.

    >>> print(Origin(4, "data/in.csv")); print(Origin(4, "in.parquet")); print(Origin(1))
    in.csv, line 4
    in.parquet, row 4
    row 1
    """

    number: int = 0
    """Number of its first line in a text file; its position in other sources. Counted from 1."""
    file: str | None = None
    """Path of its file, as it was given; None for a row of another source."""

    @property
    def line(self) -> int | None:
        """Number of its line; None for a row of a source without lines."""
        is_text = self.file is not None and not self.file.lower().endswith(".parquet")
        return self.number if is_text else None

    @property
    def place(self) -> str:
        """Label of the row inside its source: ``line 4``."""
        return f"row {self.number}" if self.line is None else f"line {self.number}"

    def __str__(self) -> str:
        if self.file is None:
            return self.place
        return f"{'stdin' if self.file == STDIN else self.file.rpartition('/')[2]}, {self.place}"

    def beside(self, label: str) -> str:
        """Return the label of another row, without the name of the file if it is the same.

        >>> Origin(4, "b.csv").beside("b.csv, line 3"), Origin(4, "b.csv").beside("a.csv, line 3")
        ('line 3', 'a.csv, line 3')
        """
        return label.removeprefix(str(self).removesuffix(self.place))


NOWHERE = Origin()
"""Origin of a row that is not from a source."""

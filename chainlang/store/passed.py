"""The rows of a file that a run folder has, as far as a run that goes on need not parse them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import asdict, frozen

from chainlang.data import Mark

FORMAT = 1
"""Number of the way in which rows are read and marked; marks of another one are not used."""


@frozen
class Passed:
    """Rows of a file up to a mark, and their hash as rows; none without a mark."""

    inputs: str
    mark: Mark | None = None

    @property
    def rows(self) -> int:
        """Number of the rows."""
        return 0 if self.mark is None else self.mark.rows

    def note(self) -> dict[str, Any] | None:
        """Return them as a JSON value."""
        if self.mark is None:
            return None
        return {"format": FORMAT, "inputs": self.inputs, **asdict(self.mark)}

    @staticmethod
    def noted(note: Mapping[str, Any] | None, most: int) -> Passed:
        """Return the rows of a note, which are not more than `most`.

        Raises `ValueError` or `TypeError` for a note of another shape.
        """
        if note is None or note["format"] != FORMAT:
            return NOTHING
        match note:
            case {
                "inputs": str(inputs),
                "rows": int(rows),
                "line": int(line),
                "size": int(size),
                "digest": str(digest),
            } if 0 < rows <= most:
                return Passed(inputs, Mark(rows, line, size, digest))
        raise ValueError("these are no rows")


NOTHING = Passed("")

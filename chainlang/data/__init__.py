"""Readers of rows: files, data frames and Python values, one row at a time, as JSON values."""

from chainlang.data.passing import Mark, Marks, OtherRowsError, Passing
from chainlang.data.read import read_row, read_rows
from chainlang.data.read_progress import Extent
from chainlang.data.reading import Reading
from chainlang.data.row import BadRow, Row
from chainlang.data.unique_ids import Seen, check_ids

__all__ = [
    "BadRow",
    "Extent",
    "Mark",
    "Marks",
    "OtherRowsError",
    "Passing",
    "Reading",
    "Row",
    "Seen",
    "check_ids",
    "read_row",
    "read_rows",
]

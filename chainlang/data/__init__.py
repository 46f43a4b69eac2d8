"""Rows in: files, frames and Python values, one row at a time, as plain JSON values."""

from chainlang.data.extent import Extent
from chainlang.data.ids import check_ids
from chainlang.data.read import read_rows, spoken
from chainlang.data.rows import BadRow, Row

__all__ = ["BadRow", "Extent", "Row", "check_ids", "read_rows", "spoken"]

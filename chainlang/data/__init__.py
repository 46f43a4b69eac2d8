"""Rows in: files, frames and Python values, one row at a time, as plain JSON values."""

from chainlang.data.ids import check_ids
from chainlang.data.read import read_rows, spoken
from chainlang.data.rows import BadRow, Row

__all__ = ["BadRow", "Row", "check_ids", "read_rows", "spoken"]

"""HTML of a table of values, under a caption and lines of text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chainlang.display.page import page, shown

ROWS = 50
"""Rows that a table shows."""
_WIDE = 120  # characters of a cell


def table_html(caption: str, rows: Sequence[Mapping[str, Any]], lines: Iterable[str] = ()) -> str:
    """Return the HTML of the first rows of a table, under a caption, with lines below it.

    Columns are those of all rows, in the order in which they come; one without any value is left
    out. Numbers stand at the right.
    """
    names = [
        name
        for name in dict.fromkeys(name for row in rows for name in row)
        if any(row.get(name) is not None for row in rows)
    ]
    numbers = {name for name in names if all(_is_number(row.get(name)) for row in rows)}
    parts = [f'<div class="soft">{shown(line)}</div>' for line in caption.splitlines()]
    if rows:
        head = "".join(f"<th{_class(name in numbers)}>{shown(name)}</th>" for name in names)
        parts += ["<table>", f"<tr>{head}</tr>"]
        parts += (f"<tr>{_cells(row, names, numbers)}</tr>" for row in rows[:ROWS])
        parts.append("</table>")
    if len(rows) > ROWS:
        parts.append(f'<div class="soft">… {len(rows) - ROWS:,} more</div>')
    parts += (f'<div class="soft">{shown(line)}</div>' for line in lines)
    return page(*parts)


def _cells(row: Mapping[str, Any], names: Sequence[str], numbers: Iterable[str]) -> str:
    return "".join(
        f"<td{_class(name in numbers)}>{shown(_text(row.get(name)))}</td>" for name in names
    )


def _class(is_number: bool) -> str:
    return ' class="number"' if is_number else ' class="text"'


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    flat = " ".join(str(value).split())
    return flat if len(flat) <= _WIDE else flat[: _WIDE - 1] + "…"

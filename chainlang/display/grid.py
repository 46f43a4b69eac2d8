"""HTML of many results: a grid with a line for each, failures first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from chainlang.display.page import page, shown

ROWS = 30
"""Results that a grid shows."""
_FIELDS = 3  # fields of the row that a grid shows
_WIDE = 120  # characters of a cell


@frozen
class Line:
    """A result in a grid."""

    number: int
    fields: Mapping[str, Any]
    said: Any
    """Its answer, or the answers of its branches by name; None if it failed."""
    failure: str | None
    more: Mapping[str, Any]
    """Values of further columns: confidence, tokens."""


def grid(lines: Iterable[Line], caption: str, names: Sequence[str]) -> str:
    """Return the HTML of the first lines, in which failures come first, under a caption.

    `names` are the columns of `Line.more`.
    """
    found = list(lines)
    fields = [*dict.fromkeys(name for line in found for name in line.fields)][:_FIELDS]
    parts = [f'<div class="soft">{shown(caption)}</div>', "<table>", _head(fields, names)]
    parts += (_row(line, fields, names) for line in found[:ROWS])
    parts.append("</table>")
    if len(found) > ROWS:
        parts.append(f'<div class="soft">… {len(found) - ROWS:,} more</div>')
    return page(*parts)


def _head(fields: Sequence[str], names: Sequence[str]) -> str:
    cells = [f"<th>{shown(name)}</th>" for name in (*fields, "answer")]
    cells += [f'<th class="number">{shown(name)}</th>' for name in names]
    return f'<tr><th class="number">row</th>{"".join(cells)}</tr>'


def _row(line: Line, fields: Sequence[str], names: Sequence[str]) -> str:
    return f"<tr>{''.join(_cells(line, fields, names))}</tr>"


def _cells(line: Line, fields: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    yield f'<td class="number soft">{line.number:,}</td>'
    for name in fields:
        yield f'<td class="text">{_cell(line.fields.get(name))}</td>'
    if line.failure is not None:
        yield f'<td class="text bad">{_cell(line.failure, 3 * _WIDE)}</td>'
    else:
        yield f'<td class="text">{_cell(line.said)}</td>'
    for name in names:
        yield f'<td class="number">{_cell(line.more.get(name))}</td>'


def _cell(value: Any, most: int = _WIDE) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    if not isinstance(value, str):
        try:
            value = json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError):  # an object of the user
            value = repr(value)
    flat = " ".join(value.split())
    return shown(flat if len(flat) <= most else flat[: most - 1] + "…")

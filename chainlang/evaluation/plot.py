"""A plot of accuracies with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainlang.diagnostics.suggest import suggest
from chainlang.errors import error_of


def plotted(rows: Sequence[Mapping[str, Any]], x: str, by: str | None, axes: Any) -> Any:
    """Draw the accuracies of a table over a column, and return the axes of matplotlib.

    Raises `OperandError` for a column that is not there, `EngineError` without matplotlib.
    """
    columns = rows[0] if rows else {}
    for name in (x, by):
        if name is not None and name not in columns:
            raise error_of("operand", f"the table has no {name!r}", suggest(name, columns))
    if axes is None:
        try:
            from matplotlib import pyplot  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            hint = "pip install 'chainlang[plot]', or use to_dicts()"
            raise error_of("operand", "plot needs matplotlib", hint) from None
        _, axes = pyplot.subplots()
    lines: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        lines.setdefault(None if by is None else row[by], []).append(row)
    for value, several in lines.items():
        ordered = sorted(several, key=lambda row: row[x])
        middle = [100 * row["accuracy"] for row in ordered]
        below = [100 * (row["accuracy"] - row["low"]) for row in ordered]
        above = [100 * (row["high"] - row["accuracy"]) for row in ordered]
        label = None if by is None else f"{by} = {value}"
        places = [row[x] for row in ordered]
        axes.errorbar(places, middle, [below, above], marker="o", capsize=3, label=label)
    axes.set_xlabel("tokens a row" if x == "tokens" else x)
    axes.set_ylabel("accuracy, %")
    if by is not None:
        axes.legend()
    return axes

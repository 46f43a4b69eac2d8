"""`Comparison`: two chains over the same rows, row by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean
from typing import Any

from attrs import frozen

from chainlang.diagnostics.render import shown
from chainlang.display.table import table_html
from chainlang.errors import error_of
from chainlang.evaluation.evaluation import Evaluation, cost_line, interval_of
from chainlang.evaluation.intervals import (
    Interval,
    difference_interval,
    mcnemar,
    rows_needed,
    smallest_difference,
)
from chainlang.evaluation.scores import Score
from chainlang.evaluation.shares import Share, points
from chainlang.semantics.seeds import is_of_content

_SHOWN = 5  # rows that are listed


@frozen
class Pair:
    """The scores of one row in both evaluations."""

    first: Score
    second: Score

    @property
    def difference(self) -> float:
        """Score of the second without that of the first."""
        return self.second.score - self.first.score


@frozen(repr=False)
class Comparison:
    """Two evaluations of the same rows, the second measured by the first.

    `won` are the rows in which the second scores higher, `lost` those in which it scores lower.
    """

    first: Evaluation
    second: Evaluation
    pairs: tuple[Pair, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.pairs)

    @property
    def won(self) -> int:
        """Number of rows in which the second scores higher."""
        return sum(one.difference > 0 for one in self.pairs)

    @property
    def lost(self) -> int:
        """Number of rows in which the second scores lower."""
        return sum(one.difference < 0 for one in self.pairs)

    @property
    def difference(self) -> float:
        """Accuracy of the second without that of the first."""
        return fmean(one.difference for one in self.pairs) if self.pairs else 0.0

    @property
    def interval(self) -> Interval:
        """Interval of 95 % of the difference, of pairs."""
        values = [one.difference for one in self.pairs]
        firsts = tuple(one.first for one in self.pairs)
        if all(one in (-1, 0, 1) for one in values) and firsts and firsts[0].cluster is None:
            return difference_interval(self.won, self.lost, self.rows)
        return interval_of(firsts, values, is_share=False)

    @property
    def p_value(self) -> float:
        """Two-sided p-value of McNemar's exact test; for other scores than 0 and 1, a sign test.

        With clusters it is that of no test here, and takes rows for independent.
        """
        return mcnemar(self.won, self.lost)

    @property
    def smallest(self) -> float:
        """Smallest difference that these rows can show, with as many that differ."""
        return smallest_difference(self.rows, max(self.won + self.lost, 1) / max(self.rows, 1))

    @property
    def differing(self) -> tuple[Pair, ...]:
        """The rows whose scores differ."""
        return tuple(one for one in self.pairs if one.difference)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dict for each row that differs."""
        return [
            {
                "row": one.first.row,
                "id": one.first.id,
                "target": one.first.target,
                "first": one.first.answer,
                "second": one.second.answer,
                "first_score": one.first.score,
                "second_score": one.second.score,
            }
            for one in self.differing
        ]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"Comparison(rows={self.rows}, won={self.won}, lost={self.lost}, "
            f"difference={self.difference:.4f}, interval=({low:.4f}, {high:.4f}), "
            f"p_value={self.p_value:.4g})"
        )

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Representations for notebooks: the counts, and the rows that differ."""
        lines = [
            line for line in self._lines() if not line.startswith(("  won", "  lost", "  and"))
        ]
        html = table_html("\n".join(lines), self.to_dicts())
        return {"text/plain": str(self), "text/html": html}

    def _lines(self) -> Iterator[str]:
        for name, one in (("first ", self.first), ("second", self.second)):
            share = Share(one.rows, one.accuracy, one.interval)
            yield f"{name}  {share}, {_counted(one)}, {cost_line(one.usage, one.rows)}"
        low, high = self.interval
        yield (
            f"the second: {points(self.difference)} [{points(low)}, {points(high)}] of "
            f"{self.rows:,} rows; won {self.won:,}, lost {self.lost:,}, p = {self.p_value:.3g}"
        )
        yield from self._advice()
        for pair in self.differing[:_SHOWN]:
            sign = "won " if pair.difference > 0 else "lost"
            first, second = (_short(one.answer) for one in (pair.first, pair.second))
            target = _short(pair.first.target)
            yield f"  {sign} row {pair.first.row:,}: {first} | {second}, target {target}"
        more = len(self.differing) - _SHOWN
        if more > 0:
            yield f"  and {more:,} more rows that differ"

    def _advice(self) -> Iterator[str]:
        """Yield what these rows can't show."""
        low, high = self.interval
        if not low <= 0 <= high or not self.rows:
            return
        apart = (self.won + self.lost) / self.rows
        least, wanted = points(self.smallest)[1:], abs(self.difference)
        yield f"  no difference is shown: so many rows can show one of {least} or more"
        if apart and wanted:
            count = rows_needed(wanted, apart)
            yield f"  to show one of {points(wanted)[1:]}: about {count:,} rows"


def compared(first: Evaluation, second: Evaluation, *, by_number: bool = False) -> Comparison:
    """Return the comparison of two evaluations, by the ids of their rows.

    `by_number`: by the numbers of the rows, which are those of one source; their ids may differ,
    since they are of the fields that each chain declares. Raises `OperandError` if they are not
    over the same rows, with the same targets and metric.
    """
    if first.metric != second.metric:
        message = f"the first is scored by {first.metric}, the second by {second.metric}"
        raise error_of("operand", message, "score both by one metric")
    ones, others = (
        {(str(one.row), 0): one for one in side.scores} if by_number else _by_key(side.scores)
        for side in (first, second)
    )
    for here, there, name in ((ones, others, "second"), (others, ones, "first")):
        missing = [one for key, one in here.items() if key not in there]
        if missing:
            message = (
                f"these are evaluations of other rows: {len(missing):,} of {len(here):,} are not "
                f"in the {name}, such as row {missing[0].row:,}, id {shown(missing[0].id)}"
            )
            hint = "run both chains over the same rows"
            if is_of_content(missing[0].id):
                hint += "; rows without an id have one of the fields that the chain declares, so "
                hint += "give them ids, or compare the chains themselves"
            raise error_of("operand", message, hint)
    pairs = tuple(Pair(one, others[key]) for key, one in ones.items())
    wrong = next((one for one in pairs if one.first.target != one.second.target), None)
    if wrong is not None:
        message = (
            f"row {wrong.first.row:,} has the target {shown(wrong.first.target)} in the first, and "
            f"{shown(wrong.second.target)} in the second"
        )
        raise error_of("operand", message, "compare runs over the same targets")
    return Comparison(first, second, pairs)


def _by_key(scores: Iterable[Score]) -> dict[tuple[str, int], Score]:
    """Return scores by the id of their row, and by its number among the rows with that id."""
    found: dict[tuple[str, int], Score] = {}
    seen: dict[str, int] = {}
    for one in scores:
        number = seen[one.id] = seen.get(one.id, -1) + 1
        found[one.id, number] = one
    return found


def _counted(one: Evaluation) -> str:
    counts = one.counts
    return f"{counts['unread']:,} unread, {counts['failed']:,} failed"


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= 40 else f"{text[:39]}…"

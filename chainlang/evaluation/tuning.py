"""`Tuning`: what became of each chain of a family, and the chain that was chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from statistics import fmean
from typing import Any

from attrs import field, frozen

from chainlang.display.table import table_html
from chainlang.evaluation.evaluation import Evaluation
from chainlang.evaluation.intervals import Interval, mean_interval, smallest_difference, wilson
from chainlang.evaluation.race import Dropped
from chainlang.evaluation.shares import percent, points


@frozen
class Entry:
    """One chain of a family, as the race left it."""

    choices: Mapping[str, Any] = field(hash=False)
    chain: str
    status: str
    """``chosen``, ``left`` or ``dropped``."""
    scores: tuple[float, ...] = field(repr=False)
    """Its scores, by row."""
    tokens: float
    """Tokens of a row in the mean, as if it ran alone."""
    dropped: Dropped | None = None
    """The reason why it has left the race."""
    holdout: Evaluation | None = None
    """Evaluation of the chosen chain on the rows that no chain had seen."""

    @property
    def accuracy(self) -> float:
        """Mean score on the rows of the race; of the best of many chains it is too high."""
        return fmean(self.scores) if self.scores else 0.0

    @property
    def interval(self) -> Interval:
        """Interval of 95 % of the accuracy."""
        if all(one in (0, 1) for one in self.scores):
            return wilson(sum(self.scores), len(self.scores))
        return mean_interval(self.scores)


@frozen(repr=False)
class Tuning:
    """The outcome of `tune`."""

    family: str
    metric: str
    entries: tuple[Entry, ...]
    position: int
    """Position of the chosen chain."""
    rows: int
    """Number of rows that the chains left have answered."""
    spent: int
    """Tokens of all prompts and replies that the race drew, without the held-out rows."""
    grid: float
    """Tokens of all chains over all rows, as if each ran alone."""
    cost: Decimal | None = None
    """Dollars that the race spent, without the held-out rows; None if a price is unknown."""

    @property
    def chosen(self) -> Entry:
        """The chosen chain."""
        return self.entries[self.position]

    @property
    def front(self) -> tuple[Entry, ...]:
        """The chains that no other one beats in both accuracy and tokens, the cheapest first."""
        found: list[Entry] = []
        ordered = sorted(self.entries, key=lambda one: (one.tokens, -one.accuracy))
        for one in ordered:
            if not found or one.accuracy > found[-1].accuracy:
                found.append(one)
        return tuple(found)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dict for each chain."""
        return [
            {
                **one.choices,
                "chain": one.chain,
                "status": one.status,
                "rows": len(one.scores),
                "accuracy": one.accuracy,
                "low": one.interval[0],
                "high": one.interval[1],
                "tokens": one.tokens,
                "dropped_by": None if one.dropped is None else self.entries[one.dropped.by].chain,
                "won": None if one.dropped is None else one.dropped.won,
                "lost": None if one.dropped is None else one.dropped.lost,
            }
            for one in self.entries
        ]

    def __repr__(self) -> str:
        return f"<Tuning of {len(self.entries)} chains: {self.chosen.chain}>"

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Representations for notebooks: a table with a row for each chain, the best first."""
        first, *rest = self._lines()
        lines = rest[len(self.entries) :]
        rows = sorted(self.to_dicts(), key=lambda one: -one["accuracy"])
        return {"text/plain": str(self), "text/html": table_html(first, rows, lines)}

    def _lines(self) -> Iterator[str]:
        spent = f"{self.spent:,} tokens" + (f", ${self.cost:.3g}" if self.cost else "")
        share = f", {percent(self.spent / self.grid)} of all chains over all rows" * bool(self.grid)
        yield f"{self.family}: {len(self.entries):,} chains by {self.metric}, {spent}{share}"
        width = max(len(one.chain) for one in self.entries)
        for one in sorted(self.entries, key=lambda one: (-one.accuracy, one.tokens)):
            low, high = one.interval
            shown = f"{percent(one.accuracy):>7} [{percent(low)}, {percent(high)}]"
            yield (
                f"  {one.chain:<{width}}  {shown}  {one.tokens:,.0f} tokens a row  {self._why(one)}"
            )
        least = points(smallest_difference(self.rows, 0.2))[1:]
        yield f"  {self.rows:,} rows can show a difference of {least}, if 20 % of them differ"
        final = self.chosen.holdout
        if final is not None:
            low, high = final.interval
            shown = f"{percent(final.accuracy)} [{percent(low)}, {percent(high)}]"
            yield f"  chosen, on {final.rows:,} rows that no chain has seen: {shown}"

    def _why(self, one: Entry) -> str:
        if one.dropped is None:
            return one.status
        by = self.entries[one.dropped.by].chain
        counts = f"won {one.dropped.won:,}, lost {one.dropped.lost:,}"
        return f"dropped after {one.dropped.rows:,} rows: {counts} against {by}"

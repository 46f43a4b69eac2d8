"""`Race`: successive elimination of chains by their scores on the same rows.

Two chains are compared by a bet on each row: capital that grows where one scores lower than the
other. If it is at least as good, the capital stays a supermartingale, so that it reaches a bound of
1/p with probability p at most, however often it is looked at (Ville 1939). With one bound for all
pairs, the best chain is dropped with a probability of at most `level`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from attrs import define, field, frozen

from chainlang.evaluation.intervals import difference_interval, mean_interval

_BETS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
"""Shares of the capital that are bet on each row; the capital is the mean over all of them."""


@frozen
class Dropped:
    """The reason why a chain has left the race."""

    by: int
    """Position of the chain that it was compared with."""
    rows: int
    """Number of rows that both had answered by then."""
    won: int
    """Rows in which it scored higher than the other."""
    lost: int


@define(eq=False)
class Race:
    """The scores of several chains on the same rows, batch after batch."""

    count: int
    """Number of chains."""
    level: float = 0.05
    """Largest probability of dropping the best chain."""
    alive: list[int] = field(init=False)
    """Positions of the chains that are left."""
    dropped: dict[int, Dropped] = field(factory=dict, init=False)
    scores: list[list[float]] = field(init=False)
    """Scores of each chain, by row."""
    _capital: dict[tuple[int, int], list[float]] = field(factory=dict, init=False)
    """Logarithm of the capital of each bet that the first chain is worse than the second."""

    def __attrs_post_init__(self) -> None:
        self.alive = list(range(self.count))
        self.scores = [[] for _ in self.alive]

    @property
    def bound(self) -> float:
        """Capital at which a chain is dropped."""
        return max(self.count - 1, 1) / self.level

    def add(self, batch: Mapping[int, Sequence[float]]) -> None:
        """Add the scores of one more batch of rows, and drop what is worse than another."""
        for position, values in batch.items():
            self.scores[position] += values
        worse: dict[int, int] = {}
        for one in self.alive:
            for other in self.alive:
                if one != other and self._bet(one, other, batch) >= self.bound:
                    worse.setdefault(one, other)
        for one, other in worse.items():
            pairs = list(zip(self.scores[one], self.scores[other], strict=True))
            won, lost = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
            self.dropped[one] = Dropped(other, len(pairs), won, lost)
        self.alive = [one for one in self.alive if one not in worse]

    def _bet(self, one: int, other: int, batch: Mapping[int, Sequence[float]]) -> float:
        """Return the capital of a bet that a chain is worse than another."""
        logs = self._capital.setdefault((one, other), [0.0] * len(_BETS))
        pairs = list(zip(batch[one], batch[other], strict=True))
        for index, share in enumerate(_BETS):
            logs[index] += math.fsum(math.log1p(share * (b - a)) for a, b in pairs)
        return fmean(math.exp(min(one, 700.0)) for one in logs)

    def is_near(self, one: int, best: int, margin: float) -> bool:
        """Return whether a chain is shown to be at most `margin` worse than another, at 95 %."""
        pairs = list(zip(self.scores[one], self.scores[best], strict=True))
        values = [a - b for a, b in pairs]
        if all(value in (-1, 0, 1) for value in values):
            won, lost = values.count(1), values.count(-1)
            low, _ = difference_interval(won, lost, len(values))
        else:
            low, _ = mean_interval(values)
        return low >= -margin

    def mean(self, position: int) -> float:
        """Return the mean score of a chain on its rows."""
        return fmean(self.scores[position]) if self.scores[position] else 0.0

    def best(self, tokens: Sequence[float]) -> int:
        """Return the chain with the highest mean of those left; of equal ones the cheapest."""
        return max(self.alive, key=lambda one: (self.mean(one), -tokens[one], -one))

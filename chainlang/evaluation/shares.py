"""`Share`: a mean score with its interval; `Agreement`: that of a judge with people."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from chainlang.evaluation.intervals import Interval, wilson


@frozen
class Share:
    """A mean of scores, with its interval of 95 %."""

    rows: int
    accuracy: float
    interval: Interval

    def __str__(self) -> str:
        return (
            f"{percent(self.accuracy)} [{percent(self.interval[0])}, {percent(self.interval[1])}]"
        )


@frozen
class Agreement:
    """Agreement of a judge with the labels of people."""

    share: Share
    kappa: float
    """Cohen's kappa: 0 for the agreement of chance, 1 for that in all rows."""

    def __str__(self) -> str:
        rows = f"{self.share.rows:,} rows"
        return f"agrees with people in {self.share} of {rows}, kappa {self.kappa:.2f}"


def agreement(pairs: Iterable[tuple[bool, bool]]) -> Agreement | None:
    """Return the agreement of a judge's marks with labels; None without any.

    >>> str(agreement([(True, True)] * 8 + [(False, False)] * 8 + [(True, False)] * 4))
    'agrees with people in 80.0 % [58.4 %, 91.9 %] of 20 rows, kappa 0.62'
    """
    found = list(pairs)
    if not found:
        return None
    count = len(found)
    same = sum(one == other for one, other in found) / count
    first, second = (sum(one[side] for one in found) / count for side in (0, 1))
    chance = first * second + (1 - first) * (1 - second)
    kappa = 1.0 if chance == 1 else (same - chance) / (1 - chance)
    return Agreement(Share(count, same, wilson(round(same * count), count)), kappa)


def percent(share: float) -> str:
    """Return a share in per cent, with one digit.

    >>> percent(0.3333)
    '33.3 %'
    """
    return f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """Return a difference of shares in points of per cent, with its sign.

    >>> points(0.0304), points(-0.005)
    ('+3.0 points', '-0.5 points')
    """
    return f"{100 * difference:+.1f} points"

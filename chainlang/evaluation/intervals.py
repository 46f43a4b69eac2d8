"""Intervals, paired tests, and the differences that a number of rows can show.

All are computed by the standard library, and tests compare them with scipy.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist, fmean

Z = NormalDist().inv_cdf(0.975)
"""Half-width of a 95 % interval, in standard errors."""
POWER = NormalDist().inv_cdf(0.8)
_EXACT = 1_000
"""Discordant pairs up to which McNemar's test sums binomials; above it, their logarithms."""
_DRAWS = 4_000
_WORK = 8_000_000
"""Largest number of values that a bootstrap draws."""

Interval = tuple[float, float]


def wilson(right: float, count: float) -> Interval:
    """Return the 95 % interval of a share, by Wilson's score (1927).

    >>> tuple(round(one, 4) for one in wilson(40, 50))
    (0.6696, 0.8876)
    >>> wilson(0, 0)
    (0.0, 1.0)
    """
    if not count:
        return 0.0, 1.0
    share, square = right / count, Z * Z / count
    middle = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    low = 0.0 if right == 0 else max(0.0, middle - half)
    return low, 1.0 if right == count else min(1.0, middle + half)


def mcnemar(won: int, lost: int) -> float:
    """Return the two-sided p-value of the exact test of McNemar (1947).

    `won` and `lost` are the rows that one side alone has right. Without any it is 1.

    >>> mcnemar(3, 12)
    0.03515625
    """
    count, few = won + lost, min(won, lost)
    if count <= _EXACT:
        below = sum(math.comb(count, one) for one in range(few + 1))
        return min(1.0, float(2 * below / 2**count))
    logs = [
        math.lgamma(count + 1) - math.lgamma(one + 1) - math.lgamma(count - one + 1)
        for one in range(few + 1)
    ]
    highest = max(logs)
    total = math.fsum(math.exp(one - highest) for one in logs)
    return min(1.0, 2 * math.exp(highest + math.log(total) - count * math.log(2)))


def difference_interval(won: int, lost: int, count: int) -> Interval:
    """Return the 95 % interval of a difference of two paired shares.

    `won` and `lost` are the rows that the first and the second have alone, of `count`. The interval
    is Wald's after half a row is added to each of the four cells (Agresti and Min, 2005).

    >>> tuple(round(one, 3) for one in difference_interval(12, 3, 300))
    (0.004, 0.056)
    """
    if not count:
        return -1.0, 1.0
    first, second = (won + 0.5) / (count + 2), (lost + 0.5) / (count + 2)
    half = Z * math.sqrt((first + second - (first - second) ** 2) / (count + 2))
    middle = first - second
    return max(-1.0, middle - half), min(1.0, middle + half)


def mean_interval(values: Sequence[float], *, seed: int = 0) -> Interval:
    """Return the 95 % interval of a mean, by a bootstrap of the values.

    A list of values, or of the differences of pairs, which are so resampled together. The same
    values and seed give the same interval. Above some thousand values it is the normal one, which
    is then equal to the digits that are shown.

    >>> mean_interval([0.5] * 20)
    (0.5, 0.5)
    """
    count = len(values)
    if not count:
        return -math.inf, math.inf
    if count * _DRAWS > _WORK:
        middle = fmean(values)
        spread = math.fsum((one - middle) ** 2 for one in values) / (count - 1)
        half = Z * math.sqrt(spread / count)
        return middle - half, middle + half
    drawn = random.Random(seed)  # noqa: S311  # no secret
    means = sorted(fmean(drawn.choices(values, k=count)) for _ in range(_DRAWS))
    edge = round(_DRAWS * 0.025)
    return means[edge], means[-1 - edge]


def by_cluster(values: Sequence[float], clusters: Sequence[object], *, seed: int = 0) -> Interval:
    """Return the 95 % interval of a mean whose values depend on each other within a cluster.

    Whole clusters are resampled.
    """
    groups: dict[object, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        groups.setdefault(cluster, []).append(value)
    sums = [(math.fsum(one), len(one)) for one in groups.values()]
    if not sums:
        return -math.inf, math.inf
    drawn = random.Random(seed)  # noqa: S311  # no secret
    draws = max(1, min(_DRAWS, _WORK // len(sums)))
    means: list[float] = []
    for _ in range(draws):
        taken = drawn.choices(sums, k=len(sums))
        means.append(math.fsum(one for one, _ in taken) / sum(count for _, count in taken))
    means.sort()
    edge = round(draws * 0.025)
    return means[edge], means[-1 - edge]


def smallest_difference(count: int, disagreeing: float) -> float:
    """Return the smallest difference of two shares that so many paired rows can show.

    That is the one found in four of five comparisons at a level of 5 %, where `disagreeing` is the
    share of the rows on which the two differ.

    >>> round(smallest_difference(300, 0.2), 3)
    0.072
    """
    if not count:
        return 1.0
    return min(1.0, (Z + POWER) * math.sqrt(disagreeing / count))


def rows_needed(difference: float, disagreeing: float) -> int:
    """Return the number of paired rows that show a difference, as `smallest_difference` says.

    >>> rows_needed(0.03, 0.2)
    1745
    """
    return math.ceil(((Z + POWER) / difference) ** 2 * disagreeing)


def pass_at(count: int, passed: int, wanted: int) -> float:
    """Return the chance that one of `wanted` samples passes, from `passed` of `count` that do.

    The unbiased estimate of Chen et al. (2021). Raises `ValueError` for more wanted than counted.

    >>> pass_at(5, 2, 1), round(pass_at(5, 2, 3), 2)
    (0.4, 0.9)
    """
    if not 0 <= passed <= count or not 1 <= wanted <= count:
        raise ValueError(f"pass@{wanted} of {passed} in {count}")
    return 1.0 - math.comb(count - passed, wanted) / math.comb(count, wanted)

"""Intervals and paired tests: equal to scipy, with the coverage that they claim."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from chainlang.evaluation.intervals import (
    by_cluster,
    difference_interval,
    mcnemar,
    mean_interval,
    pass_at,
    rows_needed,
    smallest_difference,
    wilson,
)

COUNTS = st.integers(0, 3_000)


@pytest.mark.law
@given(st.integers(1, 3_000), st.floats(0, 1))
def test_wilson_is_that_of_scipy(count: int, share: float) -> None:
    right = round(share * count)
    found = stats.binomtest(right, count).proportion_ci(method="wilson")
    assert wilson(right, count) == pytest.approx((found.low, found.high), abs=1e-12)


@pytest.mark.law
@given(COUNTS, COUNTS)
def test_mcnemar_is_that_of_scipy(won: int, lost: int) -> None:
    expected = stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert mcnemar(won, lost) == pytest.approx(expected, rel=1e-7, abs=1e-300)
    assert mcnemar(won, lost) == mcnemar(lost, won)


def test_the_coverage_of_wilson_is_95_per_cent_in_the_mean() -> None:
    """Exact coverage, not simulated: 20 to 500 rows, and shares from 1 to 99 per cent."""
    found = []
    for count in (20, 30, 50, 75, 100, 200, 300, 500):
        right = np.arange(count + 1)
        low, high = np.array([wilson(one, count) for one in right]).T
        for share in np.linspace(0.01, 0.99, 99):
            mass = stats.binom.pmf(right, count, share)
            found.append(mass[(low <= share) & (share <= high)].sum())
    assert np.mean(found) == pytest.approx(0.95, abs=0.005)
    assert min(found) == pytest.approx(0.911, abs=0.001)


def test_the_coverage_of_a_paired_difference_is_95_per_cent_in_the_mean() -> None:
    found = []
    for count in (20, 50, 100, 200):
        won, lost = np.array([(w, x) for w in range(count + 1) for x in range(count + 1 - w)]).T
        pairs = zip(won.tolist(), lost.tolist(), strict=True)
        low, high = np.array([difference_interval(w, x, count) for w, x in pairs]).T
        logs = np.array([math.lgamma(one + 1) for one in range(count + 1)])
        ways = logs[count] - logs[won] - logs[lost] - logs[count - won - lost]
        for one, other in itertools.product((0.02, 0.05, 0.1, 0.2, 0.3, 0.4), repeat=2):
            rest = (count - won - lost) * math.log(1 - one - other)
            mass = np.exp(ways + won * math.log(one) + lost * math.log(other) + rest)
            found.append(mass[(low <= one - other) & (one - other <= high)].sum())
    assert np.mean(found) == pytest.approx(0.95, abs=0.005)
    assert min(found) == pytest.approx(0.922, abs=0.001)


@pytest.mark.law
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 400))
def test_a_difference_turns_with_its_sides(won: int, lost: int, even: int) -> None:
    low, high = difference_interval(won, lost, won + lost + even)
    assert difference_interval(lost, won, won + lost + even) == pytest.approx((-high, -low))
    assert -1 <= low <= high <= 1


@pytest.mark.parametrize("count", [20, 400, 5_000])
def test_the_interval_of_a_mean_is_near_the_normal_one(count: int) -> None:
    values = [((7 * one) % 13) / 13 for one in range(count)]
    spread = np.std(values, ddof=1) / math.sqrt(count)
    low, high = mean_interval(values)
    assert (low, high) == mean_interval(values)
    middle = np.mean(values)
    assert (middle - low, high - middle) == pytest.approx((1.96 * spread,) * 2, rel=0.12)


def test_clusters_widen_an_interval() -> None:
    values = [float(one // 10 % 2) for one in range(200)]  # ten equal rows in each document
    alone = mean_interval(values)
    whole = by_cluster(values, [one // 10 for one in range(200)])
    assert whole[1] - whole[0] > 2 * (alone[1] - alone[0])
    assert by_cluster(values, range(200)) == pytest.approx(alone, abs=0.01)


@pytest.mark.law
@given(st.integers(1, 5_000), st.floats(0.01, 1))
def test_rows_needed_is_the_inverse_of_the_smallest_difference(count: int, apart: float) -> None:
    least = smallest_difference(count, apart)
    if least < 1:
        assert rows_needed(least, apart) in (count, count + 1)


@pytest.mark.law
@given(st.integers(1, 30), st.data())
def test_pass_at_k_is_the_share_of_subsets_that_pass(count: int, data: st.DataObject) -> None:
    passed = data.draw(st.integers(0, count))
    wanted = data.draw(st.integers(1, count))
    expected = stats.hypergeom(count, passed, wanted).sf(0)
    assert pass_at(count, passed, wanted) == pytest.approx(expected, abs=1e-9)
    with pytest.raises(ValueError, match="pass@"):
        pass_at(count, passed, count + 1)

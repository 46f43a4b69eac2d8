"""Predicted votes: exact where they can be, near what is measured else."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations
from typing import Any

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError
from chainlang.evaluation import evaluate, vote_curve
from chainlang.protocol.messages import Request

ROWS = [{"query": str(n), "answer": "r"} for n in range(150)]


def guess(request: Request, number: int) -> str:
    """Return the right answer with 60 % on even rows and 30 % on odd ones, else one of two."""
    chance = 0.6 if int(request.messages[-1].text) % 2 == 0 else 0.3
    luck = random.Random(request.seed + number)
    return "r" if luck.random() < chance else luck.choice("xxxxy")


def results(width: int) -> Any:
    return chain(f"{width}:E:m:0.7").map(ROWS, engine=FakeEngine(answers=guess))


def test_votes_within_the_samples_are_near_the_mean_over_all_choices() -> None:
    (row,) = chain("5:E:m").map(ROWS[:1], engine=FakeEngine(answers={"": list("rrxyx")}))
    exact = []
    for three in permutations("rrxyx", 3):
        counts = Counter(three)
        exact.append(max(three, key=lambda one: (counts[one], -three.index(one))) == "r")
    found = vote_curve([row], (1, 3, 5))
    assert found.points[0].accuracy == 0.4
    assert found.points[1].accuracy == pytest.approx(sum(exact) / len(exact), abs=0.1)
    assert found.points[2].accuracy == 1
    assert [one.is_beyond for one in found.points] == [False, False, False]


@pytest.mark.quick(2)
@pytest.mark.parametrize("width", [3, 9, 33])
def test_nine_samples_predict_what_is_measured(width: int) -> None:
    found = vote_curve(results(9), (width,)).points[0]
    measured = evaluate(
        chain(f"{width}:E:m:0.7 >> M"), ROWS, engine=FakeEngine(answers=guess), seed=7
    )
    low, high = measured.interval
    assert low - 0.03 <= found.accuracy <= high + 0.03
    assert found.is_beyond == (width > 9)


def test_hard_rows_fall_where_easy_ones_rise() -> None:
    every = list(results(9))
    easy, hard = (vote_curve(every[first::2], (1, 33)).points for first in (0, 1))
    assert easy[1].accuracy > easy[0].accuracy
    assert hard[1].accuracy < hard[0].accuracy


def test_the_same_seed_gives_the_same_curve() -> None:
    assert vote_curve(results(5), (3,)).points == vote_curve(results(5), (3,)).points


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"widths": (0, 3)}, "are no widths"),
        ({"widths": ()}, "are no widths"),
        ({"metric": chain("E:judge")}, "a judge is no metric of a curve"),
    ],
)
def test_a_wrong_argument_is_an_error(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ChainlangError, match=message):
        vote_curve(results(3), **given)


def test_rows_have_equally_many_samples() -> None:
    mixed = [*results(3)[:2], *results(5)[:2]]
    with pytest.raises(ChainlangError, match="rows have 3 to 5 samples"):
        vote_curve(mixed)

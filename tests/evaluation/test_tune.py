"""Races of chains: what they keep, what they spend, and that they can be repeated."""

from __future__ import annotations

import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chainlang import E, M, models
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError
from chainlang.evaluation import Tuning, pick, tune
from chainlang.evaluation.race import Race
from chainlang.protocol.messages import Request
from tests.evaluation.tables import TABLES, race
from tests.laws import fewer


def test_the_best_of_equal_chains_is_rarely_dropped() -> None:
    """Null tables: all are as good, and the first stands for the best. 1,000 in the long run."""
    count = fewer(60, 20)
    wrong = sum(0 in race([0.6] * 8, 40, seed).dropped for seed in range(count))
    assert wrong <= 0.05 * count


@pytest.mark.parametrize("accuracies", TABLES)
def test_a_race_keeps_the_best(accuracies: list[float]) -> None:
    best = max(range(len(accuracies)), key=lambda one: accuracies[one])
    found = [race(accuracies, 40, seed) for seed in range(fewer(20, 10))]
    kept = [best in one.alive or one.is_near(best, one.alive[0], 1) for one in found]
    assert sum(kept) >= 0.95 * len(found)
    assert any(one.dropped for one in found)


def test_a_drop_names_its_reason() -> None:
    found = Race(2)
    found.add({0: [0.0] * 40, 1: [1.0] * 39 + [0.0]})
    dropped = found.dropped[0]
    assert (dropped.by, dropped.rows, dropped.won, dropped.lost) == (1, 40, 0, 39)
    assert found.alive == [1]


# ---------------------------------------------------------------- tune

ROOT = Path(__file__).parents[2]
ROWS = [{"query": f"{n} + 1", "sum": n + 1} for n in range(300)]
FAMILY = E("m", pick(1, 3, 9), 0.7) >> M


class Stopped(RuntimeError):
    pass


class Guessing(FakeEngine):
    """An engine that is right two times of three, and stops after some requests."""

    def __init__(self, most: int | None = None) -> None:
        super().__init__(answers=self.guess)
        self.most = most
        self.asked: list[str] = []

    def guess(self, request: Request, number: int) -> str:
        right = int(request.messages[-1].text.split()[0]) + 1
        return str(right + (random.Random(request.seed + number).random() < 1 / 3))

    def submit(self, requests: Any) -> None:
        several = list(requests)
        self.asked += [one.messages[-1].text for one in several]
        if self.most is not None and len(self.asked) > self.most:
            raise Stopped
        super().submit(several)


def tuned(engine: FakeEngine | None = None, **more: Any) -> Tuning:
    return tune(FAMILY, ROWS, target="sum", engine=engine or Guessing(), **more)


def test_a_wide_vote_wins_and_is_scored_again_on_rows_that_no_chain_has_seen() -> None:
    engine = Guessing()
    found = tuned(engine)
    assert found.chosen.chain != "E:m:0.7 >> M"
    (first,) = (one for one in found.entries if one.chain == "E:m:0.7 >> M")
    assert first.dropped is not None
    assert first.dropped.lost > first.dropped.won
    final = found.chosen.holdout
    assert final is not None
    assert final.rows == 90
    assert final.accuracy > 0.67  # of one sample
    last = engine.asked.index(f"{final.scores[0].target - 1} + 1")
    held = {f"{one.target - 1} + 1" for one in final.scores}
    assert not held & {*engine.asked[:last]}  # drawn after all others
    assert "dropped after" in str(found)


def test_the_same_seed_gives_the_same_table() -> None:
    found = tuned().to_dicts()
    assert found == tuned().to_dicts()
    assert found != tuned(seed=1).to_dicts()


def test_a_budget_is_kept_but_for_a_batch() -> None:
    batch = 40 * 9 * 4  # tokens of a batch of the widest chain
    found = tuned(budget=3_000, holdout=0)
    assert found.spent <= 3_000 + batch
    assert found.rows < 300
    assert tuned(holdout=0).spent <= 0.3 * found.grid + batch


def priced(**given: Any) -> Tuning:
    price = {"input": 10, "output": 10}
    with models.use(m=models.fake("m", price=price), tiny=models.fake("tiny", price=price)):
        return tune(FAMILY, ROWS, target="sum", holdout=0, **given)


def test_a_budget_of_money_is_kept_but_for_a_batch(tmp_path: Path) -> None:
    whole = priced()
    assert whole.cost == whole.spent * Decimal(10) / 1_000_000
    batch = Decimal(40 * 9 * 20) / 100_000
    most = whole.cost / 2
    found = priced(budget_cost=most, out=tmp_path)
    assert most / 2 < found.cost <= most + batch
    assert f"${found.cost:.3g}" in str(found)
    again = priced(budget_cost=most, out=tmp_path)
    assert (again.cost, again.to_dicts()) == (found.cost, found.to_dicts())
    assert priced(budget=1, budget_cost=most).rows == 40


def test_a_budget_of_money_needs_prices() -> None:
    with pytest.raises(ChainlangError, match="budget_cost can't be held: the price of 'm' is not"):
        tuned(budget_cost=1)


@pytest.mark.quick(1)
@pytest.mark.parametrize("most", [300, 50, 500])
def test_a_killed_tuning_goes_on(most: int, tmp_path: Path) -> None:
    whole = tuned(out=tmp_path / "whole")
    with pytest.raises(Stopped):
        tuned(Guessing(most), out=tmp_path / "killed")
    engine = Guessing()
    again = tuned(engine, out=tmp_path / "killed")
    assert again.to_dicts() == whole.to_dicts()
    assert len(engine.asked) < len(set(engine.asked)) * 9 + 1
    assert tuned(none := Guessing(), out=tmp_path / "killed").spent == again.spent
    assert not none.asked


PROGRAM = """
import os, sys
from tests.evaluation.test_tune import Guessing, tuned

class Killed(Guessing):
    def submit(self, requests):
        super().submit(requests)
        if len(self.asked) > 200:
            os.kill(os.getpid(), 9)

tuned(Killed(), out=sys.argv[1])
"""


@pytest.mark.slow
def test_a_tuning_that_is_killed_with_kill_9_goes_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "killed")], cwd=ROOT, check=False
    )
    assert done.returncode == -9
    assert tuned(out=tmp_path / "killed").to_dicts() == tuned().to_dicts()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch": 200}, "210 rows to choose by are fewer than two batches"),
        ({"holdout": 1}, "holdout=1 is no share"),
        ({"margin": -1}, "margin=-1 is no difference"),
        ({"budget": 0}, "budget=0 is no number of tokens"),
        ({"budget_cost": 0}, "budget_cost=0 is no number of dollars"),
        ({"batch": 0}, "batch=0 is no number of rows"),
    ],
)
def test_a_wrong_argument_is_an_error(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ChainlangError) as error:
        tuned(**given)
    assert message in str(error.value)

"""Simulated tables of scores, in which rows are hard or easy for all chains alike."""

import random
from collections.abc import Callable

from chainlang.evaluation.race import Race

TABLES = [
    [0.5, 0.6, 0.65, 0.7, 0.7, 0.75, 0.8, 0.83],
    [0.5, 0.52, 0.55, 0.6, 0.62, 0.7, 0.71, 0.83],
    [0.3, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.9],
]
"""Accuracies of the chains of a table."""


def race(
    accuracies: list[float],
    batch: int,
    seed: int,
    rows: int = 600,
    *,
    share: float = 1.0,
    cost: Callable[[Race], float] = lambda _: 0.0,
) -> Race:
    """Return a race over simulated rows; half of a chain's luck is that of the row.

    It ends once its `cost` reaches a share.
    """
    drawn, made = random.Random(seed), Race(len(accuracies))
    for _ in range(0, rows, batch):
        scores: dict[int, list[float]] = {one: [] for one in made.alive}
        for _ in range(batch):
            row = drawn.random()
            for one in made.alive:
                luck = row if drawn.random() < 0.5 else drawn.random()
                scores[one].append(float(luck < accuracies[one]))
        made.add(scores)
        if len(made.alive) == 1 or cost(made) >= share:
            break
    return made

"""``python -m tests.evaluation.races [NULL [TABLES]]``: races over simulated tables, counted.

Exit status 1 if the best of equal chains is dropped in more than 5 % of the null tables, if the
best is lost in more than 5 % of the others, or if a race spends more than 30 % of the grid.
"""

from __future__ import annotations

import sys
from statistics import fmean

from chainlang.evaluation.race import Race
from tests.evaluation.tables import TABLES, race

WIDTHS = (1, 3, 5, 9, 1, 3, 5, 9)
"""Samples of each chain: two models in four widths, which share the samples of the widest."""
SHARE = 0.3


def spent(found: Race) -> float:
    """Return the share of the grid that a race draws, where widths share their samples."""
    rows = max(len(one) for one in found.scores)
    drawn = 0
    for start in range(rows):
        for model in (WIDTHS[:4], WIDTHS[4:]):
            first = 0 if model is WIDTHS[:4] else 4
            drawn += max(
                (width for at, width in enumerate(model, first) if len(found.scores[at]) > start),
                default=0,
            )
    return drawn / (sum(WIDTHS) * 600)


def main(null: int, tables: int) -> int:
    """Print what the races kept and spent."""
    some, best = 0, 0
    for seed in range(null):
        found = race([0.6] * 8, 40, seed)
        some += bool(found.dropped)
        best += 0 in found.dropped
    kept, shares = 0, []
    for seed in range(tables):
        accuracies = TABLES[seed % len(TABLES)]
        found = race(accuracies, 40, seed, share=SHARE, cost=spent)
        kept += 7 in found.alive
        shares.append(spent(found))
    print(
        f"{null} null tables: the first of eight equal chains dropped in {best}, some in {some}; "
        f"{tables} tables: the best kept in {kept}, {100 * fmean(shares):.1f} % of the grid spent, "
        f"at most {100 * max(shares):.1f} %"
    )
    batch = 40 * 18 / (sum(WIDTHS) * 600)
    wrong = best > 0.05 * null or kept < 0.95 * tables or max(shares) > SHARE + batch
    return int(wrong)


if __name__ == "__main__":
    counts = [int(one) for one in sys.argv[1:]]
    sys.exit(main(*(counts + [1_000, 200][len(counts) :])))

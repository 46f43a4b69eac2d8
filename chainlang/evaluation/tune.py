"""`tune`: the cheapest chain of a family that is not worse than the best, under a budget."""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from attrs import define, evolve, field

from chainlang.api.family import Family, family_of
from chainlang.data import BadRow, Reading, read_rows
from chainlang.errors import SettingError, error_of
from chainlang.evaluation.evaluate import MetricLike, Scoring, evaluated
from chainlang.evaluation.evaluation import Evaluation
from chainlang.evaluation.race import Race
from chainlang.evaluation.spent import Ledger, Spent
from chainlang.evaluation.sweep import text_of, widest_first
from chainlang.evaluation.tuning import Entry, Tuning
from chainlang.settings import MapSettings

if TYPE_CHECKING:
    from chainlang.api.keywords import MapKeywords

OF_CACHE = (
    "cache", "cache_folder", "cache_bytes", "cache_redis", "cache_seconds", "cache_shared_bytes",
    "store",
)  # fmt: skip
"""Settings of the sample cache."""
_OF_ROWS = frozenset({"encoding", "delimiter", "rename", "limit"})
_CACHE = 1 << 40
"""Size of the cache of a tuning, in bytes: nothing is evicted."""
_NO_BOUND = Decimal(10**9)  # dollars
_SHARE = 0.3
"""Default budget, as a share of what all chains cost over all rows without sharing."""


def tune(
    family: Any,
    rows: Any,
    metric: MetricLike = "exact",
    *,
    budget: int | None = None,
    budget_cost: Decimal | float | None = None,
    holdout: float = 0.3,
    margin: float = 0.02,
    batch: int = 40,
    target: str = "answer",
    answer: str = "answer",
    out: str | PathLike[str] | None = None,
    **settings: Unpack[MapKeywords],
) -> Tuning:
    """Choose the cheapest chain of a family that is not worse than the best.

    All chains answer the same rows, `batch` after `batch`, and share their samples. A chain that is
    shown to be worse than another leaves; the best one does so with a probability of at most 5 %.
    It ends when one is left, the rows are used up, or the budget is, which is looked at after each
    batch of a chain: `budget` tokens or `budget_cost` dollars, whichever is used up first; without
    both, 30 % of the tokens that all chains cost over all rows. Of the chains that are left, the
    cheapest one is chosen whose accuracy is shown to be within `margin` of the highest, or else the
    one with the highest. It is then run over the rows that were held out, a
    share `holdout` that no chain has seen, for an accuracy without the luck of the choice.

    The order of the rows follows from the seed. With `out` the samples and the tokens spent are
    kept there, and the same call goes on where an earlier one was killed; money that the killed
    batch had spent is not counted. Raises `OperandError` for fewer rows than two batches, and
    `SettingError` for `budget_cost` if the price of a model is not known.

    >>> from chainlang import E, M
    >>> from chainlang.engines.fake import FakeEngine
    >>> from chainlang.evaluation import pick, tune
    >>> rows = [{"query": f"{n} + 1", "sum": n + 1} for n in range(200)]
    >>> def guess(request, number):
    ...     right = int(request.messages[-1].text.split()[0]) + 1
    ...     return str(right + ((request.seed + number) % 3 == 0))
    >>> found = tune(E("m", pick(1, 3, 9), 0.7) >> M, rows, target="sum",
    ...              engine=FakeEngine(answers=guess))
    >>> found.chosen.chain
    '3:E:m:0.7 >> M'
    """
    cost = None if budget_cost is None else Decimal(str(budget_cost))
    _check(holdout, margin, batch, budget, cost)
    for name in OF_CACHE:
        if name in settings:
            message = f"{name}= is not for tune, which has a cache of its own"
            raise error_of("setting", message, "to keep its samples: out=")
    made = family_of(family)
    scoring = Scoring.of(metric, target=target, answer=answer)
    read = MapSettings.of(settings)
    ordered = _rows(rows, read)
    held = round(len(ordered) * holdout)
    if len(ordered) - held < 2 * batch:
        message = f"{len(ordered) - held:,} rows to choose by are fewer than two batches"
        raise error_of("operand", message, f"give more rows, or a smaller batch than {batch}")
    random.Random(read.seed).shuffle(ordered)  # noqa: S311  # no secret
    kept = {name: one for name, one in settings.items() if name not in _OF_ROWS}
    with tempfile.TemporaryDirectory(prefix="chainlang-") as home:
        folder = Path(home) if out is None else Path(out)
        folder.mkdir(parents=True, exist_ok=True)
        cache = folder / "cache"
        shared = {**kept, "cache": "write", "cache_folder": cache, "cache_bytes": _CACHE}
        ledger = Ledger.open(folder / "tune.jsonl", cache)
        heat = _Heat(made, scoring, shared, ledger, budget, cost)
        heat.run(ordered[held:], batch)
        spent = ledger.before("end")
        entries = heat.entries(margin)
        chosen = next(position for position, one in enumerate(entries) if one.status == "chosen")
        final = heat.evaluate(chosen, ordered[:held]) if held else None
    entries[chosen] = evolve(entries[chosen], holdout=final)
    return Tuning(
        str(made),
        scoring.name,
        tuple(entries),
        chosen,
        heat.rows,
        spent.tokens,
        heat.grid,
        spent.cost or None,
    )


@define(eq=False)
class _Heat:
    """The race of the chains of one family."""

    family: Family
    scoring: Scoring
    settings: Mapping[str, Any]
    ledger: Ledger
    budget: int | None
    """Tokens that may be spent; None for the default."""
    budget_cost: Decimal | None
    """Dollars that may be spent."""
    race: Race = field(init=False)
    tokens: list[int] = field(init=False)
    """Tokens of each chain on its rows, as if it ran alone."""
    rows: int = 0
    """Number of rows that the chains left have answered."""
    grid: float = 0.0
    """Tokens of all chains over all rows, as if each ran alone; estimated from the first batch."""

    def __attrs_post_init__(self) -> None:
        self.race = Race(len(self.family))
        self.tokens = [0] * len(self.family)

    def run(self, rows: Sequence[Any], batch: int) -> None:
        """Run batches until one chain is left, the rows are used up, or the budget is."""
        order = widest_first(self.family)
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            scores: dict[int, list[float]] = {}
            for position in order:
                if position not in self.race.alive:
                    continue
                spent = self.ledger.before(f"{start}/{position}")
                if start and self._is_used_up(spent):
                    return  # a batch that only some have answered decides nothing
                found = self.evaluate(position, part)
                self.ledger.add(found.cost)
                self.tokens[position] += found.tokens
                scores[position] = [one.score for one in found.scores]
            if not start:
                self.grid = sum(self.tokens) / len(part) * len(rows)
            self.rows += len(part)
            self.race.add(scores)
            if len(self.race.alive) == 1:
                return

    def _is_used_up(self, spent: Spent) -> bool:
        if self.budget_cost is not None:
            if spent.cost is None or spent.cost >= self.budget_cost:
                return True
            if self.budget is None:
                return False
        return spent.tokens >= (self.grid * _SHARE if self.budget is None else self.budget)

    def evaluate(self, position: int, rows: Sequence[Any]) -> Evaluation:
        """Evaluate a chain on some rows. Raises `SettingError` if a price is needed and unknown."""
        settings = dict(self.settings)
        if self.budget_cost is not None:
            settings.setdefault("run_cost", _NO_BOUND)  # so that an unknown price is refused
        try:
            return evaluated(self.family[position].chain, rows, self.scoring, None, settings)
        except SettingError as error:
            (first, *_) = error.diagnostics
            if first.setting != "run_cost" or settings["run_cost"] != _NO_BOUND:
                raise
            message = f"budget_cost can't be held: the price of {first.subject!r} is not known"
            raise SettingError([evolve(first, message=message, setting="budget_cost")]) from None

    def entries(self, margin: float) -> list[Entry]:
        """Return what became of each chain."""
        each = [
            self.tokens[one] / max(len(self.race.scores[one]), 1) for one in range(len(self.family))
        ]
        best = self.race.best(each)
        chosen = self._chosen(best, each, margin)
        made = []
        for position, member in enumerate(self.family):
            dropped = self.race.dropped.get(position)
            status = "dropped" if dropped is not None else "left"
            made.append(
                Entry(
                    dict(member.choices),
                    text_of(member),
                    "chosen" if position == chosen else status,
                    tuple(self.race.scores[position]),
                    each[position],
                    dropped,
                )
            )
        return made

    def _chosen(self, best: int, tokens: Sequence[float], margin: float) -> int:
        """Return the cheapest chain that is shown to be within a margin of the best."""
        near = [best, *(one for one in self.race.alive if self.race.is_near(one, best, margin))]
        return min(near, key=lambda one: (tokens[one], one))


def _rows(rows: Any, settings: MapSettings) -> list[dict[str, Any]]:
    """Return the rows of a source. Raises `RowError` for one that can't be read."""
    reading = Reading(
        encoding=settings.encoding, delimiter=settings.delimiter, rename=dict(settings.rename)
    )
    found = []
    for row in islice(read_rows(rows, reading), settings.limit):
        if isinstance(row, BadRow):
            raise error_of("row", f"row {row.number:,}: {row.message}")
        found.append(dict(row.fields))
    return found


def _check(
    holdout: float, margin: float, batch: int, budget: int | None, cost: Decimal | None
) -> None:
    if not 0 <= holdout < 1:
        raise error_of("operand", f"holdout={holdout} is no share of the rows", "write 0.3")
    if not 0 <= margin < 1 or math.isnan(margin):
        raise error_of("operand", f"margin={margin} is no difference of shares", "write 0.02")
    if batch < 1:
        raise error_of("operand", f"batch={batch} is no number of rows", "write 40")
    if budget is not None and budget < 1:
        raise error_of("operand", f"budget={budget} is no number of tokens", "write 200_000")
    if cost is not None and not 0 < cost < _NO_BOUND:
        raise error_of("operand", f"budget_cost={cost} is no number of dollars", "write 2.50")

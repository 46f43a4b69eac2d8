"""`Evaluation`: the scores of a chain over rows, their mean, its interval, and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from statistics import fmean
from typing import Any

from attrs import field, frozen

from chainlang.display.table import table_html
from chainlang.evaluation.intervals import Interval, by_cluster, mean_interval, wilson
from chainlang.evaluation.scores import OUTCOMES, Outcome, Score
from chainlang.evaluation.shares import Agreement, Share
from chainlang.protocol.messages import Usage

_SHOWN = 40  # characters of an answer in a line
_GROUPS = 12  # groups in a page


@frozen(repr=False)
class Evaluation:
    """The scores of a chain over rows.

    A failed row and an answer that can't be read score 0; they are outcomes of their own.
    `accuracy` is the mean score. Its `interval` is Wilson's where each score is 0 or 1, and that of
    a bootstrap else, or where rows come in clusters.
    """

    name: str
    """The chain as text, or the folder of the run."""
    metric: str
    scores: tuple[Score, ...]
    usage: Usage = field(factory=Usage)
    """Usage of the chain; that of a judge is in `judge_usage`."""
    judge_usage: Usage = field(factory=Usage)
    agreement: Agreement | None = None
    """Agreement of a judge with the labels of people, where there are some."""
    folder: Path | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.scores)

    @property
    def accuracy(self) -> float:
        """Mean score of the rows."""
        return self._share(self.scores).accuracy

    @property
    def interval(self) -> Interval:
        """Interval of 95 % of the accuracy."""
        return self._share(self.scores).interval

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """Number of rows by outcome: correct, wrong, unread, failed."""
        found = Counter(one.outcome for one in self.scores)
        return {name: found[name] for name in OUTCOMES}

    @property
    def groups(self) -> Mapping[str, Share]:
        """Accuracy of each group, with its interval; the largest group first."""
        found: dict[str, list[Score]] = {}
        for one in self.scores:
            if one.group is not None:
                found.setdefault(one.group, []).append(one)
        ordered = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
        return {name: self._share(several) for name, several in ordered}

    @property
    def tokens(self) -> int:
        """Tokens of all prompts and replies."""
        return self.usage.prompt_tokens + self.usage.output_tokens

    @property
    def cost(self) -> Decimal | None:
        """Price in dollars; None if it is unknown. Samples out of a cache cost nothing."""
        return self.usage.spent

    def of(self, outcome: Outcome) -> tuple[Score, ...]:
        """Return the scores with an outcome: ``evaluation.of("unread")``."""
        return tuple(one for one in self.scores if one.outcome == outcome)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dict for each row, as a line of ``scores.jsonl``."""
        return [line_of(one) for one in self.scores]

    def _share(self, scores: Iterable[Score]) -> Share:
        several = tuple(scores)
        values = [one.score for one in several]
        if not values:
            return Share(0, 0.0, (0.0, 1.0))
        return Share(len(values), fmean(values), interval_of(several, values))

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        low, high = self.interval
        return (
            f"Evaluation(rows={self.rows}, accuracy={self.accuracy:.4f}, "
            f"interval=({low:.4f}, {high:.4f}), metric={self.metric!r})"
        )

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Representations for notebooks: the counts, and the rows that are not correct."""
        wrong = [line_of(one) for one in self.scores if one.outcome != "correct"]
        wrong.sort(key=lambda one: -OUTCOMES.index(one["outcome"]))
        return {"text/plain": str(self), "text/html": table_html(str(self), wrong)}

    def _lines(self) -> Iterator[str]:
        rows = f"{self.rows:,} row{'s' * (self.rows != 1)}"
        yield f"{self.metric}: {self._share(self.scores)} of {rows}"
        yield "  " + ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        for outcome in ("unread", "failed"):
            for one in self.of(outcome)[:3]:
                yield f"  {outcome}: row {one.row:,}, {_short(one.error or one.answer)}"
        groups = self.groups
        width = max(map(len, groups), default=0)
        for name, share in list(groups.items())[:_GROUPS]:
            yield f"  {name:<{width}}  {share} of {share.rows:,}"
        if len(groups) > _GROUPS:
            yield f"  and {len(groups) - _GROUPS:,} more groups"
        price = "" if not self.cost else f", ${self.cost / max(self.rows, 1):.3g} a row"
        yield f"  {cost_line(self.usage, self.rows)}{price}"
        if self.judge_usage.calls:
            yield f"  the judge: {cost_line(self.judge_usage, self.rows)}"
        if self.agreement is not None:
            yield f"  the judge {self.agreement}"


def interval_of(
    scores: tuple[Score, ...], values: list[float], *, is_share: bool = True
) -> Interval:
    """Return the interval of the mean of values, one for each of the scores.

    `is_share`: whether values of 0 and 1 make it the interval of a share.
    """
    if any(one.cluster is not None for one in scores):
        return by_cluster(values, [one.cluster for one in scores])
    if is_share and all(one in (0, 1) for one in values):
        return wilson(sum(values), len(values))
    return mean_interval(values)


def line_of(score: Score) -> dict[str, Any]:
    """Return a score as a line of a table; what a row does not have is left out."""
    found: dict[str, Any] = {
        name: getattr(score, name)
        for name in ("row", "id", "score", "outcome", "answer", "read", "target")
    }
    more = {name: getattr(score, name) for name in ("group", "cluster", "error")}
    return found | {name: value for name, value in more.items() if value is not None}


def cost_line(usage: Usage, rows: int) -> str:
    """Return the mean cost of a row, as words."""
    tokens = usage.prompt_tokens + usage.output_tokens
    count = max(rows, 1)
    return f"{usage.calls / count:,.1f} calls and {tokens / count:,.0f} tokens a row"


def _short(value: Any) -> str:
    flat = " ".join(str(value).split())
    return repr(flat if len(flat) <= _SHOWN else flat[: _SHOWN - 1] + "…")

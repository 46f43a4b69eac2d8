"""`vote_curve`: the accuracy of votes of any width, predicted from a few samples of each row."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from statistics import fmean

from attrs import frozen

from chainlang.diagnostics.render import shown
from chainlang.errors import error_of
from chainlang.evaluation.evaluate import MetricLike, Scoring
from chainlang.evaluation.intervals import Interval, mean_interval
from chainlang.evaluation.judge import Judge
from chainlang.evaluation.scores import Answered, marked
from chainlang.evaluation.shares import percent
from chainlang.semantics.voting import canonical_answer
from chainlang.session.result import Result

_DRAWS = 200
"""Votes that are drawn for each row and width."""


@frozen
class Point:
    """The predicted accuracy of a vote of one width."""

    width: int
    accuracy: float
    interval: Interval
    """Interval of 95 % over the rows. That of the samples is not in it."""
    is_beyond: bool
    """Whether the vote is wider than the samples of a row, so that they stand for others."""


@frozen(repr=False)
class VoteCurve:
    """Predicted accuracies of votes, by width."""

    points: tuple[Point, ...]
    rows: int
    samples: int
    """Samples of each row."""

    @property
    def best(self) -> Point:
        """The point with the highest accuracy; of equal ones the narrowest."""
        return max(self.points, key=lambda one: (one.accuracy, -one.width))

    def __str__(self) -> str:
        lines = [f"votes predicted from {self.samples:,} samples of {self.rows:,} rows"]
        for one in self.points:
            low, high = map(percent, one.interval)
            note = "  beyond the samples" if one.is_beyond else ""
            lines.append(f"  {one.width:>4}  {percent(one.accuracy):>7} [{low}, {high}]{note}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<VoteCurve of {len(self.points)} widths from {self.samples} samples>"


def vote_curve(
    results: Iterable[Result],
    widths: Sequence[int] = (1, 3, 5, 9, 17, 33),
    metric: MetricLike = "exact",
    *,
    target: str = "answer",
    normalize: str | None = None,
    seed: int = 0,
) -> VoteCurve:
    """Predict the accuracy of votes from the samples of each row.

    `results` are those of a chain that ends in several samples, such as ``9:E``. A vote of up to as
    many is the mean over random choices of them, without replacement; a wider one draws with
    replacement, so that the samples of a row stand for its distribution. A failed row counts as
    wrong. `normalize` is that of ``M``.

    More votes raise the accuracy of rows whose most likely answer is right, and lower that of the
    others, so on mixed rows the curve can fall (Chen et al., 2024).

    Raises `RowError` for rows with other numbers of samples, `OperandError` for a judge.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> from chainlang.evaluation import vote_curve
    >>> engine = FakeEngine(answers={"easy": ["1", "1", "1", "2", "3"], "hard": ["8", "9", "9"]})
    >>> rows = [{"query": "easy", "answer": "1"}, {"query": "hard", "answer": "8"}]
    >>> found = vote_curve(chain("5:E:m").map(rows, engine=engine), widths=(1, 5, 99))
    >>> [round(one.accuracy, 1) for one in found.points]
    [0.5, 0.5, 0.5]
    """
    scoring = Scoring.of(metric, target=target)
    if isinstance(scoring.metric, Judge):
        raise error_of("operand", "a judge is no metric of a curve", "name one such as 'exact'")
    if not widths or any(isinstance(one, bool) or one < 1 for one in widths):
        raise error_of("operand", f"{shown(widths)} are no widths", "write (1, 3, 5, 9)")
    rows = [_votes(result, scoring, target, normalize) if result.ok else None for result in results]
    counts = {len(one) for one in rows if one is not None}
    if len(counts) > 1:
        message = f"rows have {min(counts)} to {max(counts)} samples"
        raise error_of("row", message, "give the results of one stage, such as 9:E")
    drawn = random.Random(seed)  # noqa: S311  # no secret
    samples = max(counts, default=0)
    points = []
    for width in widths:
        values = [0.0 if one is None else _accuracy(one, width, drawn) for one in rows]
        middle = fmean(values) if values else 0.0
        points.append(Point(width, middle, mean_interval(values, seed=seed), width > samples))
    return VoteCurve(tuple(points), len(rows), samples)


def _votes(
    result: Result, scoring: Scoring, target: str, normalize: str | None
) -> list[tuple[str, float]]:
    """Return the counted answer of each sample of a row, and its mark."""
    assert not isinstance(scoring.metric, Judge)
    found = []
    for one in result.candidates:
        answered = Answered(result.index + 1, result.row_id, result.fields, one.answer)
        mark = marked(answered, scoring.metric, target)
        found.append((canonical_answer(one.answer, normalize), mark.value or 0.0))
    return found


def _accuracy(votes: Sequence[tuple[str, float]], width: int, drawn: random.Random) -> float:
    """Return the mean mark of the winner of random votes; ties go to the first answer."""
    if width == 1:
        return fmean(mark for _, mark in votes)
    within = width <= len(votes)
    if width == len(votes) or len({key for key, _ in votes}) == 1:
        return _winner(votes)
    return fmean(
        _winner(drawn.sample(votes, width) if within else drawn.choices(votes, k=width))
        for _ in range(_DRAWS)
    )


def _winner(votes: Sequence[tuple[str, float]]) -> float:
    counts: dict[str, int] = {}
    marks: dict[str, float] = {}
    for key, mark in votes:
        counts[key] = counts.get(key, 0) + 1
        marks.setdefault(key, mark)
    return marks[max(counts, key=lambda key: counts[key])]

"""`shots`: few-shot examples out of rows that a chain has answered rightly."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Unpack

from chainlang.api.chain import ChainLike, lift
from chainlang.errors import error_of
from chainlang.evaluation.evaluate import MetricLike, Scoring
from chainlang.evaluation.judge import Judge
from chainlang.evaluation.scores import Answered, marked

if TYPE_CHECKING:
    from chainlang.api.keywords import MapKeywords

ANSWER = "answer"
"""Field of an example that holds its answer."""


def shots(
    chain: ChainLike,
    rows: Any,
    metric: MetricLike = "exact",
    *,
    count: int = 4,
    target: str = "answer",
    **settings: Unpack[MapKeywords],
) -> list[dict[str, Any]]:
    """Return rows that a chain answers rightly, with its answers, as ``examples=`` of an op.

    They are drawn at random by the seed among the rows that it has right. An op skips the example
    whose prompt is that of its row, so rows that are evaluated later should not be among them.
    Raises `RowError` if it has fewer than `count` right.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> from chainlang.evaluation import shots
    >>> rows = [{"query": "17 + 25", "answer": "42"}, {"query": "3 + 4", "answer": "7"}]
    >>> engine = FakeEngine(answers={"17": "42", "3": "8"})
    >>> shots(chain("E:m"), rows, count=1, engine=engine)
    [{'query': '17 + 25', 'answer': '42'}]
    """
    scoring = Scoring.of(metric, target=target)
    if isinstance(scoring.metric, Judge):
        raise error_of("operand", "a judge is no metric of examples", "name one such as 'exact'")
    found = []
    for result in lift(chain).map(rows, **settings):
        answer = result.answer if result.ok else None
        one = Answered(result.index + 1, result.row_id, result.fields, answer, result.error)
        if marked(one, scoring.metric, target).value == 1:
            fields = {name: value for name, value in one.fields.items() if name != target}
            found.append({**fields, ANSWER: answer})
    if len(found) < count:
        message = f"{count:,} examples are wanted, and {len(found):,} rows are answered rightly"
        raise error_of("row", message, "give more rows, or take fewer examples: count=")
    drawn = random.Random(settings.get("seed", 0))  # noqa: S311  # no secret
    return drawn.sample(found, count)

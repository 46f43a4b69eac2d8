"""`sweep`: every chain of a family over the same rows, with shared samples."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from attrs import field, frozen

from chainlang.api.family import Family, Member, family_of
from chainlang.display.table import table_html
from chainlang.errors import error_of
from chainlang.evaluation.compare import sharing
from chainlang.evaluation.comparison import Comparison, compared
from chainlang.evaluation.evaluate import MetricLike, Scoring, evaluated
from chainlang.evaluation.evaluation import Evaluation
from chainlang.evaluation.shares import percent
from chainlang.ir.nodes import Stage
from chainlang.ir.visit import walk

if TYPE_CHECKING:
    from chainlang.api.keywords import RunKeywords


@frozen
class Swept:
    """One chain of a family, and its evaluation."""

    choices: Mapping[str, Any] = field(hash=False)
    """The chosen values, by the names of their choices."""
    chain: str
    evaluation: Evaluation


@frozen(repr=False)
class Sweep:
    """The evaluations of a family, in the order of its chains."""

    family: str
    metric: str
    members: tuple[Swept, ...]

    @property
    def best(self) -> Swept:
        """The member with the highest accuracy; of several, the one with the fewest tokens."""
        return max(self.members, key=lambda one: (one.evaluation.accuracy, -one.evaluation.tokens))

    def compare(self, first: int, second: int) -> Comparison:
        """Compare two members, by their positions."""
        return compared(self.members[first].evaluation, self.members[second].evaluation)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dict for each member: its choices, accuracy, interval, outcomes and cost.

        `calls` and `tokens` are those of the member alone, for a row in the mean; samples that
        members share count for each.
        """
        return [_row(one) for one in self.members]

    def to_pandas(self) -> Any:
        """Return a `pandas.DataFrame` with a row for each member."""
        try:
            import pandas as pd
        except ImportError:
            hint = "pip install pandas, or use to_dicts()"
            raise error_of("operand", "to_pandas needs pandas", hint) from None
        return pd.DataFrame(self.to_dicts())

    def plot(self, x: str = "tokens", by: str | None = None, *, axes: Any = None) -> Any:
        """Draw the accuracies with their intervals, over a column, and return the axes.

        `x`: a column of `to_dicts`, such as ``tokens`` or ``E.count``; `by`: a choice with a line
        of its own for each value. Needs matplotlib.
        """
        from chainlang.evaluation.plot import plotted

        return plotted(self.to_dicts(), x, by, axes)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return f"<Sweep of {len(self.members)} chains by {self.metric}>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Representations for notebooks: a table with a row for each chain."""
        caption = f"{self.family}: {len(self.members):,} chains by {self.metric}"
        return {"text/plain": str(self), "text/html": table_html(caption, self.to_dicts())}

    def _lines(self) -> Iterator[str]:
        rows = self.members[0].evaluation.rows if self.members else 0
        yield f"{self.family}: {len(self.members):,} chains by {self.metric}, {rows:,} rows"
        width = max((len(one.chain) for one in self.members), default=0)
        for one in self.members:
            low, high = one.evaluation.interval
            share = f"{percent(one.evaluation.accuracy):>7} [{percent(low)}, {percent(high)}]"
            mark = "  best" if one is self.best else ""
            tokens = one.evaluation.tokens / max(rows, 1)
            yield f"  {one.chain:<{width}}  {share}  {tokens:,.0f} tokens a row{mark}"


def _row(one: Swept) -> dict[str, Any]:
    found = one.evaluation
    low, high = found.interval
    count = max(found.rows, 1)
    return {
        **one.choices,
        "chain": one.chain,
        "accuracy": found.accuracy,
        "low": low,
        "high": high,
        **{str(name): count for name, count in found.counts.items()},
        "calls": found.usage.calls / count,
        "tokens": found.tokens / count,
    }


def sweep(
    family: Any,
    rows: Any,
    metric: MetricLike = "exact",
    *,
    target: str = "answer",
    group: str | None = None,
    cluster: str | None = None,
    answer: str = "answer",
    out: str | PathLike[str] | None = None,
    **settings: Unpack[RunKeywords],
) -> Sweep:
    """Evaluate every chain of a family over the same rows.

    A sample that several members draw at the same place is drawn once: votes of 1, 3, 5 and 9 cost
    the nine samples of the widest. Each member has the results that it has alone. With `out` each
    member has a run folder there, so that the sweep resumes, and ``sweep.json`` has the table. The
    rest is as in `evaluate`.

    >>> from chainlang import E, M
    >>> from chainlang.engines.fake import FakeEngine
    >>> from chainlang.evaluation import pick, sweep
    >>> rows = [{"query": "17 + 25", "sum": "42"}, {"query": "3 + 4", "sum": "7"}]
    >>> engine = FakeEngine(answers={"17": ["41", "42", "42"], "3": "7"})
    >>> print(sweep(E("m", pick(1, 3)) >> M, rows, target="sum", engine=engine))
    {1, 3}:E:m >> M: 2 chains by exact, 2 rows
      E:m >> M     50.0 % [9.5 %, 90.5 %]  3 tokens a row
      3:E:m >> M  100.0 % [34.2 %, 100.0 %]  8 tokens a row  best
    """
    made = family_of(family)
    scoring = Scoring.of(metric, target=target, group=group, cluster=cluster, answer=answer)
    kept = [*rows] if isinstance(rows, Iterator) else rows
    folder = None if out is None else Path(out)
    found: dict[int, Swept] = {}
    with tempfile.TemporaryDirectory(prefix="chainlang-") as home:
        shared = sharing(settings, Path(home) if folder is None else folder / "cache")
        for position in widest_first(made):
            member = made[position]
            where = None if folder is None else folder / f"{position:03}"
            evaluation = evaluated(member.chain, kept, scoring, where, shared)
            found[position] = Swept(member.choices, text_of(member), evaluation)
    swept = Sweep(str(made), scoring.name, tuple(found[one] for one in range(len(made))))
    if folder is not None:
        text = json.dumps({"family": swept.family, "members": swept.to_dicts()}, indent=2)
        (folder / "sweep.json").write_text(f"{text}\n", encoding="utf-8")
    return swept


def widest_first(family: Family) -> list[int]:
    """Return the positions of members, so that each finds the samples of a wider one."""
    return sorted(range(len(family)), key=lambda one: (-_width(family[one]), one))


def _width(member: Member) -> int:
    return sum(node.count for node in walk(member.chain.body) if isinstance(node, Stage))


def text_of(member: Member) -> str:
    """Return a member as text, without its declarations."""
    return str(type(member.chain)(member.chain.body))

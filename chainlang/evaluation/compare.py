"""`compare`: two chains over the same rows, or two runs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from chainlang.api.chain import ChainLike, lift
from chainlang.errors import error_of
from chainlang.evaluation.comparison import Comparison, compared
from chainlang.evaluation.evaluate import MetricLike, Scoring, evaluated
from chainlang.evaluation.evaluation import Evaluation
from chainlang.evaluation.score_file import is_scored, saved
from chainlang.store.stored_results import is_run, no_run

if TYPE_CHECKING:
    from chainlang.api.keywords import RunKeywords

Side: TypeAlias = "ChainLike | Evaluation | PathLike[str]"
"""A chain, an evaluation, or the folder of a run that has been scored."""


def compare(
    first: Side,
    second: Side,
    rows: Any = None,
    metric: MetricLike = "exact",
    *,
    target: str = "answer",
    group: str | None = None,
    cluster: str | None = None,
    answer: str = "answer",
    out: str | PathLike[str] | None = None,
    **settings: Unpack[RunKeywords],
) -> Comparison:
    """Compare two chains over the same rows, pair by pair.

    Each side is a chain, which is then run over `rows` as `evaluate` does; an `Evaluation`; or the
    `Path` of a run that has been scored. Samples that both chains draw at the same place are drawn
    once. With `out` each chain has a run folder there, ``first`` and ``second``, which resumes and
    is scored. Raises `OperandError` for sides that are not over the same rows.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> from chainlang.evaluation import compare
    >>> rows = [{"query": "17 + 25", "sum": "42"}, {"query": "3 + 4", "sum": "7"}]
    >>> engine = FakeEngine(answers={"17": ["41", "42", "42"], "3": "7"})
    >>> found = compare(chain("E:m"), chain("3:E:m >> M"), rows, target="sum", engine=engine)
    >>> found.won, found.lost, found.difference
    (1, 0, 0.5)
    """
    scoring = Scoring.of(metric, target=target, group=group, cluster=cluster, answer=answer)
    sides = (first, second)
    runs = [one for one in sides if not isinstance(one, Evaluation | PathLike)]
    if not runs:
        if rows is not None:
            raise error_of("operand", "rows are for chains, and both sides have their scores")
        if settings or out is not None:
            given = ", ".join(f"{name}=" for name in (*settings, *(["out"] if out else [])))
            raise error_of("setting", f"nothing is run, so {given} would have no effect")
        return compared(*(_done(one) for one in sides))
    if rows is None:
        raise error_of("operand", "there are no rows to run the chains over", "compare(a, b, rows)")
    kept = rows if not hasattr(rows, "__next__") else [*rows]
    folder = None if out is None else Path(out)
    with tempfile.TemporaryDirectory(prefix="chainlang-") as home:
        shared = sharing(settings, Path(home) if folder is None else folder / "cache")
        found = [
            _done(one)
            if isinstance(one, Evaluation | PathLike)
            else evaluated(
                lift(one), kept, scoring, None if folder is None else folder / name, shared
            )
            for name, one in zip(("first", "second"), sides, strict=True)
        ]
        return compared(*found, by_number=len(runs) == len(sides))


def sharing(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return settings with which several chains share their samples, in a folder if in no cache."""
    if settings.get("cache", "off") != "off" or "cache_folder" in settings:
        return dict(settings)
    return {**settings, "cache": "write", "cache_folder": folder}


def _done(side: Any) -> Evaluation:
    """Return the evaluation of a side that has been run."""
    if isinstance(side, Evaluation):
        return side
    folder = Path(side)
    if not is_run(folder):
        raise no_run(folder, "not a run folder" if folder.exists() else "no such folder")
    if not is_scored(folder):
        hint = f"chainlang eval {folder} --target COLUMN --metric NAME"
        raise error_of("file", f"{folder}: this run has no scores", hint)
    return saved(folder)

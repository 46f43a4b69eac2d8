"""`evaluate`: run a chain over rows and score its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain as chained
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from attrs import evolve, field, frozen

from chainlang.api.chain import Chain, ChainLike, lift
from chainlang.data import BadRow, Reading, read_rows
from chainlang.diagnostics.suggest import suggest
from chainlang.errors import error_of
from chainlang.evaluation.evaluation import Evaluation
from chainlang.evaluation.judge import Judge, mark_of
from chainlang.evaluation.marks import Mark, Metric
from chainlang.evaluation.metrics import metric_of
from chainlang.evaluation.score_file import save
from chainlang.evaluation.scores import Answered, Columns, check_given, check_target, column, marked
from chainlang.evaluation.shares import Agreement, agreement
from chainlang.protocol.messages import Usage
from chainlang.session.result import Result
from chainlang.session.rows import can_repeat
from chainlang.settings import MapSettings, RunSettings
from chainlang.store.stored_results import metadata_of, stored_results

if TYPE_CHECKING:
    from chainlang.api.keywords import RunKeywords

MetricLike: TypeAlias = str | Metric | Judge | Chain | Callable[..., Any]
"""A metric: its name, a function of answer and target, or a chain that judges."""
CANDIDATES = "candidates"
"""Output that stands for the answers of all candidates."""
_OF_ROWS = frozenset(
    {"encoding", "delimiter", "rename", "limit", "on_row", "outputs", "retry_failed"}
)
"""Settings about the rows of the chain, which a judge doesn't take."""


@frozen
class Scoring:
    """A way to score answers: a metric, and the columns of the rows that it needs."""

    metric: Metric | Judge
    columns: Columns = field(factory=Columns)
    answer: str = "answer"
    """Output of the chain that is scored."""

    @staticmethod
    def of(
        metric: MetricLike,
        *,
        target: str = "answer",
        group: str | None = None,
        cluster: str | None = None,
        answer: str = "answer",
    ) -> Scoring:
        """Return the scoring of these arguments. Raises `OperandError` for what is no metric."""
        made = metric
        if isinstance(made, Chain):
            made = Judge(made)
        chosen = made if isinstance(made, Judge) else metric_of(made)
        if answer == "answer" and isinstance(chosen, Metric):
            answer = chosen.output
        return Scoring(chosen, Columns(target, group, cluster), answer)

    @property
    def name(self) -> str:
        """Name of the metric."""
        return self.metric.name

    def evaluation(
        self,
        name: str,
        answered: Iterable[Answered],
        *,
        settings: Mapping[str, Any],
        folder: Path | None = None,
    ) -> Evaluation:
        """Return the evaluation of answers; the usage of the chain is added to it later.

        A judge runs with `settings`; beside a run in a `folder`, into a folder of its own.
        """
        columns, agreed = self.columns, None
        if isinstance(self.metric, Judge):
            out = None if folder is None else folder.with_name(f"{folder.name}-judge")
            given = {key: one for key, one in settings.items() if key not in _OF_ROWS}
            marks, usage = self.metric.marks(answered, columns.target, given, out)
            agreed = _agreement(marks, self.metric.labels)
        else:
            metric = self.metric
            marks = [(one, marked(one, metric, columns.target)) for one in answered]
            usage = Usage()
        scores = tuple(columns.score(one, mark) for one, mark in marks)
        return Evaluation(
            name, self.name, scores, judge_usage=usage, agreement=agreed, folder=folder
        )


def evaluate(
    chain: ChainLike,
    rows: Any,
    metric: MetricLike = "exact",
    *,
    target: str = "answer",
    group: str | None = None,
    cluster: str | None = None,
    answer: str = "answer",
    out: str | PathLike[str] | None = None,
    **settings: Unpack[RunKeywords],
) -> Evaluation:
    """Run a chain over rows, and return the scores of its answers.

    `target` is the column with the right answers, `answer` the output that is compared with it.
    `group` is a column by which scores are shown too; rows that are equal in `cluster` depend on
    each other, and the interval says so. `metric` is a name (exact, text, number, choice, contains,
    f1, ``regex:PATTERN``), a `Metric`, a function of ``(answer, target)`` or ``(answer, target,
    row)``, or a chain that judges. With `out` the run is kept in that folder, resumes, and has
    ``scores.jsonl`` and ``evaluation.json``. The other keywords are those of `Chain.run`.

    Raises `RowError` for rows without the target, before the first one is run where the first one
    lacks it.

    >>> from chainlang import chain
    >>> from chainlang.engines.fake import FakeEngine
    >>> from chainlang.evaluation import evaluate
    >>> rows = [{"query": "17 + 25", "sum": "42"}, {"query": "3 + 4", "sum": "7"}]
    >>> engine = FakeEngine(answers={"17": "It is 42.", "3": "8"})
    >>> print(evaluate(chain("E:m"), rows, "number", target="sum", engine=engine))
    number: 50.0 % [9.5 %, 90.5 %] of 2 rows
      1 correct, 1 wrong, 0 unread, 0 failed
      1.0 calls and 4 tokens a row
    """
    scoring = Scoring.of(metric, target=target, group=group, cluster=cluster, answer=answer)
    return evaluated(lift(chain), rows, scoring, None if out is None else Path(out), settings)


def evaluated(
    chain: Chain, rows: Any, scoring: Scoring, out: Path | None, settings: Mapping[str, Any]
) -> Evaluation:
    """Run a chain over rows, and return its evaluation; see `evaluate`."""
    if settings.get("on_error", "collect") != "collect":
        hint = "leave on_error= out: a failed row is an outcome of its own"
        raise error_of("setting", "an evaluation counts failed rows as wrong", hint)
    if settings.get("shard") is not None:
        hint = "run the shards first, then merge them, and score the merged run: score_run(folder)"
        raise error_of("setting", "an evaluation is of all rows, not of a shard", hint)
    kind = MapSettings if out is None else RunSettings
    rows = _checked(rows, scoring, kind.of(settings))
    if out is not None:
        summary = chain.run(rows, out, **dict(settings))
        return _of_folder(out, scoring, settings, summary.usage)
    results: list[Result] = []
    if scoring.answer == "answer":
        settings = {"outputs": "answer", **settings}  # so that votes can stop when decided

    def answered() -> Iterator[Answered]:
        for result in chain.map(rows, **dict(settings)):
            results.append(result)
            yield _answered(result, scoring.answer)

    made = scoring.evaluation(str(chain), answered(), settings=settings)
    usage = Usage.total(one.usage for one in results)
    return evolve(made, usage=usage)


def score_run(
    folder: str | PathLike[str],
    metric: MetricLike = "exact",
    *,
    target: str = "answer",
    group: str | None = None,
    cluster: str | None = None,
    answer: str = "answer",
    **settings: Unpack[RunKeywords],
) -> Evaluation:
    """Score the answers of a finished run; its folder then has ``scores.jsonl``.

    Nothing is run but a judge, for which the keywords are. The rest is as in `evaluate`. Raises
    `SourceError` for a run that is not complete.
    """
    scoring = Scoring.of(metric, target=target, group=group, cluster=cluster, answer=answer)
    if settings and not isinstance(scoring.metric, Judge):
        given = ", ".join(f"{name}=" for name in settings)
        hint = "leave them out: only a judge runs"
        raise error_of("setting", f"nothing is run, so {given} would have no effect", hint)
    where = Path(folder)
    usage = Usage.of_json(metadata_of(where)["usage"])
    return _of_folder(where, scoring, settings, usage)


def _of_folder(
    folder: Path, scoring: Scoring, settings: Mapping[str, Any], usage: Usage
) -> Evaluation:
    answered = (
        Answered(one.row, one.id, one.fields, _output(one.outputs, scoring.answer, one), one.error)
        for one in stored_results(folder)
    )
    made = scoring.evaluation(str(folder), answered, settings=settings, folder=folder)
    made = evolve(made, usage=usage)
    save(made, folder)
    return made


def _checked(rows: Any, scoring: Scoring, settings: MapSettings | RunSettings) -> Any:
    """Return a source of rows whose columns and targets are those that scores need.

    All rows are checked before the first one is run; of an iterator the first one, and of the
    standard input none, since they can be read once.
    """
    reading = Reading(
        encoding=settings.encoding, delimiter=settings.delimiter, rename=dict(settings.rename)
    )
    source = rows
    if isinstance(rows, Iterator):
        first = next(rows, None)
        if first is None:
            return iter(())
        source, rows = [first], chained([first], rows)
    elif not can_repeat(rows):
        return rows
    metric = scoring.metric
    for number, row in enumerate(islice(read_rows(source, reading), settings.limit), 1):
        if not isinstance(row, BadRow):
            scoring.columns.check(row.fields, f"row {number:,}")
            if isinstance(metric, Metric):
                check_target(metric, scoring.columns.target, row.fields, number)
            check_given(scoring.columns.target, row, number)
    return rows


def _answered(result: Result, name: str) -> Answered:
    answer = None
    if result.ok:
        if result.branches:
            raise _branched(result.branches)
        answer = result.answer if name == "answer" else _field(result, name)
    return Answered(result.index + 1, result.row_id, result.fields, answer, result.error)


def _field(result: Result, name: str) -> Any:
    if name == CANDIDATES:
        return [one.answer for one in result.candidates]
    try:
        return result[name]
    except KeyError as error:
        raise error_of("row", f"row {result.index + 1:,}: {error.args[0]}") from error


def _output(outputs: Mapping[str, Any], name: str, one: Any) -> Any:
    if one.error is not None:
        return None
    if name in outputs:
        return outputs[name]
    branches = dict.fromkeys(key.split(".")[1] for key in outputs if key.startswith("branch."))
    if branches and name == "answer":
        raise _branched(branches)
    hint = suggest(name, outputs, "outputs:")
    raise error_of("row", f"row {one.row:,} has no output {name!r}", hint)


def _branched(names: Iterable[str]) -> Exception:
    message = f"this chain has branches, each with an answer of its own: {', '.join(names)}"
    return error_of("row", message, "evaluate each branch as a chain, or join them with &")


def _agreement(marks: Iterable[tuple[Answered, Mark]], labels: str | None) -> Agreement | None:
    """Return how far marks agree with the column of labels; answers without a mark are left out."""
    if labels is None:
        return None
    pairs = [
        (mark.value >= 0.5, _label(column(labels, one, "labels")))
        for one, mark in marks
        if mark.value is not None and one.error is None
    ]
    return agreement(pairs)


def _label(value: Any) -> bool:
    mark = mark_of(value).value
    if mark is None:
        raise error_of("row", f"{value!r} is no label", "write true or false, 1 or 0, yes or no")
    return mark >= 0.5

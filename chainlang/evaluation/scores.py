"""`Score`: the score of one row; the four outcomes that a row can have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from chainlang.data import Row
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.suggest import suggest
from chainlang.errors import ChainlangError, RowError, error_of
from chainlang.evaluation.marks import Mark, Metric

Outcome: TypeAlias = Literal["correct", "wrong", "unread", "failed"]
OUTCOMES: tuple[Outcome, ...] = ("correct", "wrong", "unread", "failed")
"""A row is correct or wrong, its answer could not be read, or it has none since it failed."""

Role: TypeAlias = Literal["target", "group", "cluster", "labels"]
"""Purpose of a column: the name of the argument and of the flag that name it."""
_ROLES: Mapping[Role, str] = {
    "target": "the column with the right answers",
    "group": "the column to show accuracies by",
    "cluster": "the column that marks dependent rows",
    "labels": "the column with the labels of people",
}
_OF_ROWS: tuple[Role, ...] = ("target", "group", "cluster")


@frozen
class Answered:
    """The answer to one row, before it is scored."""

    row: int
    """Position of the row in its source, from 1."""
    id: str
    fields: Mapping[str, Any] = field(hash=False)
    """Fields and columns of the row."""
    answer: Any = field(hash=False)
    """The answer; None if the row failed."""
    error: str | None = None
    """Why the row failed."""


@frozen
class Score:
    """The score of one row."""

    row: int
    """Position of the row in its source, from 1."""
    id: str
    score: float
    """From 0 to 1; 0 where nothing could be read, or the row failed."""
    outcome: Outcome
    answer: Any = field(hash=False)
    read: Any = field(hash=False)
    """The part of the answer that was compared with the target."""
    target: Any = field(hash=False)
    group: str | None = None
    cluster: str | None = None
    error: str | None = None


@frozen
class Columns:
    """Columns of the rows that scores need."""

    target: str = "answer"
    """Column with the targets."""
    group: str | None = None
    """Column by which scores are shown."""
    cluster: str | None = None
    """Column whose equal values mark rows that depend on each other."""

    def check(self, fields: Iterable[str], where: str) -> None:
        """Raise `RowError` for a column that is not among the fields of a row."""
        names = [*fields]
        for role in _OF_ROWS:
            name = getattr(self, role)
            if name is not None and name not in names:
                raise no_column(name, names, where, role)

    def score(self, one: Answered, mark: Mark) -> Score:
        """Return the score of a row with a mark. Raises `RowError` for a missing column."""
        outcome: Outcome = "correct" if mark.value == 1 else "wrong"
        if mark.value is None:
            outcome = "unread"
        failed = one.error is not None
        return Score(
            one.row,
            one.id,
            0.0 if failed else mark.value or 0.0,
            "failed" if failed else outcome,
            None if failed else one.answer,
            None if failed else mark.read,
            column(self.target, one, "target"),
            None if self.group is None else str(column(self.group, one, "group")),
            None if self.cluster is None else str(column(self.cluster, one, "cluster")),
            one.error,
        )


def marked(one: Answered, metric: Metric, target: str) -> Mark:
    """Return the mark of an answer by a metric; that of a failed row is none.

    Raises `RowError` for a row without a target, or with one that the metric can't read.
    """
    wanted = column(target, one, "target")
    if one.error is not None:
        return Mark(None)
    try:
        return metric(one.answer, wanted, one.fields)
    except ChainlangError as error:
        raise _at(error, metric, one.row) from error
    except Exception as error:
        error.add_note(f"in the metric {metric.name}, at row {one.row:,}")
        raise


def check_given(target: str, row: Row, number: int) -> None:
    """Raise `RowError` for a row whose target is null, or an empty cell of CSV."""
    value = row.fields[target]
    if value is None:
        raise _no_value(target, number)
    if row.is_text and isinstance(value, str) and not value.strip():
        hint = "leave the row out, or give it a value; that the right answer is an empty text is "
        hint += f'written in JSON lines: {{"{target}": ""}}'
        what = f"row {number:,} has an empty cell in {shown(target)}"
        raise error_of("row", f"{what}, {_ROLES['target']}", hint)


def check_target(metric: Metric, target: str, fields: Mapping[str, Any], row: int) -> None:
    """Raise `RowError` for a row whose target the metric can't read."""
    try:
        if metric.check is not None:
            metric.check(fields[target], fields)
    except ChainlangError as error:
        raise _at(error, metric, row) from error


def _at(error: ChainlangError, metric: Metric, row: int) -> RowError:
    """Return an error of a metric with the row that it is about."""
    (found, *_) = error.diagnostics
    message = f"row {row:,}, metric {metric.name}: {found.message}"
    return RowError([Diagnostic("row", message, hint=found.hint)])


def column(name: str, one: Answered, role: Role) -> Any:
    """Return a column of a row. Raises `RowError` if the row has none, or null in it."""
    value = one.fields.get(name)
    if value is None and name in one.fields:
        raise _no_value(name, one.row, role)
    if value is None:
        raise no_column(name, one.fields, f"row {one.row:,}", role)
    return value


def _no_value(name: str, row: int, role: Role = "target") -> ChainlangError:
    message = f"row {row:,} has null in {shown(name)}, {_ROLES[role]}"
    return error_of("row", message, "leave the row out, or give it a value")


def no_column(name: str, fields: Iterable[str], where: str, role: Role) -> ChainlangError:
    """Return the error of a row or a table without a column that scores need."""
    columns = [*fields]
    hint = suggest(name, columns, None)
    if hint is None and columns:
        flag = "" if role == "labels" else f"--{role} COLUMN, in Python "
        hint = f"name {_ROLES[role]}: {flag}{role}=\nits columns: {', '.join(map(shown, columns))}"
    hint = hint or "it has no columns"
    return error_of("row", f"{where} has no {shown(name)}", hint)

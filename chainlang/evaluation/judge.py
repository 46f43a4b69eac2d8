"""`Judge`: a chain as a metric, and how far it agrees with labels of people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from chainlang.api.chain import Chain, lift
from chainlang.diagnostics.render import shown
from chainlang.errors import error_of
from chainlang.evaluation.marks import Mark
from chainlang.evaluation.scores import Answered
from chainlang.protocol.messages import Usage
from chainlang.semantics.header_faults import renaming
from chainlang.session.result import Result
from chainlang.store.stored_results import StoredResult, stored_results

REPLY, TARGET = "reply", "target"
"""Fields of a judge's row beside those of the row itself: the answer, and the target."""
_WORDS: Mapping[str, float] = {
    **dict.fromkeys(("correct", "yes", "true", "1", "right", "pass"), 1.0),
    **dict.fromkeys(("incorrect", "no", "false", "0", "wrong", "fail"), 0.0),
}


@frozen
class Judge:
    """A chain that marks answers.

    Its rows have the fields of the row, `reply`, the answer to mark, and `target`, if there is one.
    It answers with true or false, a number from 0 to 1, or a word such as ``correct`` or ``no``; a
    field ``verdict`` goes before the answer. Anything else, and a judge that fails, is an answer
    that can't be read.

    With `labels`, a column with the marks of people, the evaluation says how far the judge agrees
    with them, beyond chance (Cohen's kappa).
    """

    chain: Chain = field(converter=lift)
    labels: str | None = None
    name: str = "judge"

    def marks(
        self,
        answered: Iterable[Answered],
        target: str,
        settings: Mapping[str, Any],
        out: Path | None,
    ) -> tuple[list[tuple[Answered, Mark]], Usage]:
        """Return each row with the mark of its answer, and the usage of the judge.

        With a folder `out` the judge runs into it, and resumes.
        """
        rows = list(answered)
        asked = [one for one in rows if one.error is None]
        if not asked:
            return [(one, Mark(None)) for one in rows], Usage()
        given = map(_row_of(target), asked)
        if out is None:
            results = list(self.chain.map(given, **dict(settings)))
            said = [_said(result) for result in results]
            usage = Usage.total(result.usage for result in results)
        else:
            usage = self.chain.run(given, out, **dict(settings)).usage
            said = [_stored(one) for one in stored_results(out)]
        found = {one.row: mark for one, mark in zip(asked, said, strict=True)}
        return [(one, found.get(one.row, Mark(None))) for one in rows], usage


def _row_of(target: str) -> Callable[[Answered], dict[str, Any]]:
    def row(one: Answered) -> dict[str, Any]:
        for name in (REPLY, TARGET):
            if name in one.fields and (name == REPLY or name != target):
                hint = f"rename the column: {renaming(name, f'own_{name}')}"
                raise error_of("row", f"the judge reads {shown(name)}, and the rows have it", hint)
        more = {TARGET: one.fields[target]} if target in one.fields else {}
        return {**one.fields, REPLY: one.answer, **more}

    return row


def _said(result: Result) -> Mark:
    if not result.ok:
        return Mark(None, result.error)
    first = result.candidates[0]
    return mark_of(first.fields.get("verdict", first.answer))


def _stored(result: StoredResult) -> Mark:
    if result.error is not None:
        return Mark(None, result.error)
    return mark_of(result.outputs.get("verdict", result.outputs.get("answer")))


def mark_of(said: Any) -> Mark:
    """Return the mark that a judge's words mean."""
    if isinstance(said, str):
        return Mark(_WORDS.get(said.strip().strip(".").casefold()), said)
    is_mark = isinstance(said, bool | int | float) and 0 <= said <= 1
    return Mark(float(said) if is_mark else None, said)

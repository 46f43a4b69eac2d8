"""Prompts of stages: the messages that a stage sends to its model for a record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from chainlang.diagnostics.suggest import closest
from chainlang.ir.builtins import FIELDS
from chainlang.protocol.messages import Message
from chainlang.semantics.expressions import evaluate
from chainlang.semantics.prompts import RenderError, absent, render
from chainlang.semantics.record import Candidate, Record
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stages import Meaning
from chainlang.semantics.template_values import as_text
from chainlang.semantics.turns import conversation, pictures


def messages(
    stage: Meaning, record: Record, candidate: Candidate | None, seed: int = 0
) -> tuple[Message, ...]:
    """Return the prompt of a stage for a record, and for one candidate if the stage is a map.

    `seed` is that of the first sample, on which a random choice of examples depends.
    Raises `StageError` if a template reads a missing value.
    """
    values = record.values
    if candidate is not None:
        values = {**values, "candidate": candidate.view()}
    if stage.program is not None:
        assert candidate is not None  # it is a map
        return (Message("user", stage.program.of(candidate.answer, values, seed).to_json()),)
    begun: tuple[Message, ...] = ()
    try:
        if stage.continues and candidate is not None:
            begun = conversation_of(record, values, candidate)
        return filled(stage, values, seed, begun)
    except RenderError as error:
        raise _unfilled(stage, record, values, error) from error


def conversation_of(
    record: Record, values: Mapping[str, Any], candidate: Candidate
) -> tuple[Message, ...]:
    """Return the conversation of a candidate; of one from no model the query, and its answer.

    `values` are those of the prompt. Raises `RenderError` if there is no query.
    """
    if said := candidate.conversation:
        return said
    if "query" not in values:
        raise RenderError(_missing("query", record, frozenset()))
    query = Message("user", as_text(values["query"]))
    return (query, Message("assistant", as_text(candidate.answer)))


def prefix(stage: Meaning, record: Record, candidate: Candidate | None) -> str:
    """Return the beginning of the replies of a stage. Raises `StageError` as `messages` does."""
    if not stage.prefix:
        return ""
    values = record.values
    if candidate is not None:
        values = {**values, "candidate": candidate.view()}
    values = {**values, "candidates": []} if stage.fresh else values
    try:
        return render(stage.prefix, values)
    except RenderError as error:
        raise _unfilled(stage, record, values, error) from error


def _unfilled(
    stage: Meaning, record: Record, values: Mapping[str, Any], error: RenderError
) -> StageError:
    """Return the error of a prompt that can't be rendered."""
    missing = [name for name in sorted(stage.read_by_prompt) if name not in values]
    why = _missing(missing[0], record, stage.read_by_prompt) if missing else str(error)
    return StageError(f"the prompt can't be filled in: {why}", "prompt")


def filled(
    stage: Meaning, values: Mapping[str, Any], seed: int = 0, begun: tuple[Message, ...] = ()
) -> tuple[Message, ...]:
    """Return the prompt of a stage for given values, as the next turn of a conversation.

    Its own system text replaces that of the conversation. Raises `RenderError`.
    """
    if stage.fresh:
        values = {**values, "candidates": []}
    if stage.fields and FIELDS not in values:
        values = {**values, FIELDS: stage.fields}
    said = render(stage.user, values)
    ends_user = stage.continues and stage.description
    user = Message("user", f"{said}\n\n{stage.description}" if ends_user else said)
    if stage.images is not None:
        user = evolve(user, images=pictures(evaluate(stage.images, values)))
    system = _system(stage, values)
    if not system and stage.messages is None and stage.examples is None:
        return (*begun, user)
    before = () if stage.messages is None else conversation(evaluate(stage.messages, values))
    shown = () if stage.examples is None else stage.examples.chosen(user, seed)
    if system and begun and begun[0].role == "system":
        begun = begun[1:]
    return (*system, *shown, *before, *begun, user)


def _system(stage: Meaning, values: Mapping[str, Any]) -> tuple[Message, ...]:
    """Return the system message of a stage, which ends with the description of its type."""
    own = () if stage.system is None else (render(stage.system, values),)
    end = (stage.description,) if stage.description and not stage.continues else ()
    return (Message("system", "\n\n".join((*own, *end))),) if own or end else ()


def _missing(name: str, record: Record, read: frozenset[str]) -> str:
    """Return the message for a value that a prompt reads and the row lacks.

    `read` are all names that the prompt reads. Of the other parts it says nothing: which of them
    there are may depend on the schedule.
    """
    columns = [column for column in record.row if column not in ("id", "responses")]
    if name != "query":
        return absent(name, [*columns, *(part for part in record.history if part in read)])
    if not columns:
        return "the row has no field 'query', and no other"
    texts = [column for column in columns if isinstance(record.row[column], str)]
    which = closest(name, columns) or (texts or columns)[0]
    return (
        f"the row has no field 'query', only {', '.join(columns)}: rename one to 'query', or "
        f'declare `input {{ ..., query = "{{{{ {which} }}}}" }}`'
    )

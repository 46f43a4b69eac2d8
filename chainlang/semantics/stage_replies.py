"""Replies of stages: their forms, and their candidates.

These are pure functions, called by both the reference interpreter and the runtime.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import evolve

from chainlang.datatypes.free_texts import free_texts
from chainlang.datatypes.parse_reply import Form, Misfit
from chainlang.protocol.messages import Message, Sample
from chainlang.semantics.cut import was_cut, why_cut
from chainlang.semantics.expressions import evaluate, is_name
from chainlang.semantics.nothing import NOTHING
from chainlang.semantics.programs import fields_in
from chainlang.semantics.prompts import RenderError
from chainlang.semantics.record import Candidate, Record
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stages import Meaning


def schema(stage: Meaning, record: Record) -> str | None:
    """Return the JSON schema of a reply, as text; None for free text."""
    form = _form(stage, record)
    return None if form is None else form.schema


def choices(stage: Meaning, record: Record) -> tuple[str, ...]:
    """Return the replies that a type allows, for `Request.choices`; empty if there are too many."""
    form = _form(stage, record)
    return () if form is None else form.choices


def has_choices(stage: Meaning) -> bool:
    """Return whether a stage has few possible replies for some rows."""
    form = _form_of_some_row(stage)
    return form is not None and bool(form.choices)


def has_labels(stage: Meaning) -> bool:
    """Return whether the type of a stage has few values for some rows."""
    form = _form_of_some_row(stage)
    return form is not None and bool(form.values)


def _form_of_some_row(stage: Meaning) -> Form | None:
    lists = () if stage.replies is None else stage.replies.lists
    return stage.form(2, {name: ["a", "b"] for name in lists})


def _form(stage: Meaning, record: Record) -> Form | None:
    if stage.replies is None:
        return None
    return stage.replies.form(len(record.candidates), record.values if stage.replies.lists else {})


def candidate_of(  # noqa: PLR0917
    stage: Meaning,
    record: Record,
    read: Candidate | None,
    sample: Sample,
    place: Place,
    prompt: tuple[Message, ...] = (),
) -> Candidate:
    """Return the candidate of a sample; `prompt` has the messages that its model was sent.

    Raises `StageError` if its reply was refused, was cut, or does not fit its type.
    """
    if stage.program is not None:
        return _ran(stage, record, read, sample, place)
    plain, typed = _reply(stage, record, sample)
    answer, fields = _answer(stage, record, read, sample, plain)
    return Candidate(
        answer,
        fields,
        sample.text,
        sample.finish,
        sample.tokens,
        sample.token_ids,
        place,
        value=typed,
        unkept=sample.unkept,
        reasoning=sample.reasoning,
        logprobs=sample.logprobs,
        top_logprobs=sample.top_logprobs,
        stop=sample.stop,
        model=sample.model or stage.model,
        switched=sample.switched,
        choices=_weights(stage, record, read, sample) if sample.labels else NOTHING,
        messages=prompt,
        picked=(
            None
            if stage.choose is None
            else record.candidates[fields[stage.choose] - 1].conversation
        ),
    )


def _ran(
    stage: Meaning, record: Record, read: Candidate | None, sample: Sample, place: Place
) -> Candidate:
    """Return the candidate of a program that has run, which is from no model."""
    try:
        given = fields_in(sample.text)
    except ValueError as error:  # of an engine that stands in for the sandbox
        raise StageError(f"the result is no JSON object: {error}", "reply", sample) from error
    answer, fields = _answer(stage, record, read, sample, given)
    return Candidate(answer, fields, sample.text, sample.finish, place=place, value=fields)


def labels(stage: Meaning, record: Record) -> tuple[str, ...]:
    """Return the replies whose probabilities a stage asks for, as JSON; empty if it asks for none.

    Raises `StageError` if its type allows too many.
    """
    if not stage.choices:
        return ()
    form = _form(stage, record)
    if form is None or not form.values:
        raise StageError(f"choices: the type of {stage.name} is not one of a few values", "prompt")
    return tuple(json.dumps(json.loads(one), ensure_ascii=False) for one in form.values)


def _weights(
    stage: Meaning, record: Record, read: Candidate | None, sample: Sample
) -> Mapping[str, float]:
    """Return the probability of each answer; several replies may have one answer."""
    form = _form(stage, record)
    assert form is not None  # it has labels
    found: dict[str, float] = {}
    for label, weight in zip(labels(stage, record), sample.labels, strict=True):
        said = evolve(sample, text=label)
        answer, _ = _answer(stage, record, read, said, form.read(label).plain)
        name = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        found[name] = found.get(name, 0.0) + weight
    return found


def _reply(stage: Meaning, record: Record, sample: Sample) -> tuple[Any, Any]:
    """Parse a reply as a value of the stage's type: return its JSON values, and the typed ones."""
    if sample.refusal:
        raise StageError(sample.refusal, "refused", sample)
    form = None if stage.replies is None else _form(stage, record)
    is_cut = (sample.finish != "stop" or bool(sample.reasoning)) and was_cut(sample)
    if is_cut and not stage.keeps_cut:
        raise StageError(cut_message(stage, sample), "cut", sample)
    if form is None:
        return sample.text, sample.text
    try:
        found = form.read(sample.text)
    except Misfit as error:
        if is_cut:  # what is left of it is no value, so there is nothing to keep
            raise StageError(cut_message(stage, sample), "cut", sample) from error
        raise StageError(f"{error}{_left(sample)}", "reply", sample) from error
    return found.plain, found.typed


def cut_message(stage: Meaning, sample: Sample) -> str:
    """Return why a sample was cut, and what to write instead."""
    texts = () if stage.budgets else free_texts(stage.returns, stage.types)
    is_free = stage.returns is None
    message = why_cut(sample, stage.sampling, texts, is_free=is_free)
    if is_free and not stage.keeps_cut:
        message += ', or write cut="keep"'
    return f"{message}{_left(sample)}"


def _left(sample: Sample) -> str:
    held = ", ".join(sample.unkept)
    return f" (the engine did not hold it to {held})" if held else ""


def _answer(
    stage: Meaning, record: Record, read: Candidate | None, sample: Sample, reply: Any
) -> tuple[Any, Mapping[str, Any]]:
    """Return the answer of a reply, and its fields."""
    fields = reply if isinstance(reply, dict) else {}
    if stage.choose is not None and stage.returns is not None:
        chosen = record.candidates[fields[stage.choose] - 1]
        return chosen.answer, {**chosen.fields, **fields, "final_answer": chosen.answer}
    if stage.answer is None:
        return fields.get("answer", reply), fields
    if stage.answer in fields and is_name(stage.answer):  # without a copy of all values
        return fields[stage.answer], fields
    one = {} if read is None else {"candidate": read.view()}
    values = {**record.values, **one, "text": sample.text, **fields}
    try:
        return evaluate(stage.answer, values), fields
    except RenderError as error:
        what = f"the answer of {stage.name} can't be made: {error}"
        raise StageError(what, "reply", sample) from error

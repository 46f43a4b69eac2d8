"""Semantics of stages: what they ask for, and their candidates from replies.

These are pure functions, called by both the reference interpreter and the runtime.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from attrs import evolve, field, fields, frozen

from chainlang.datatypes.check_types import Declared, declared_types
from chainlang.datatypes.free_texts import free_texts
from chainlang.datatypes.parse_reply import Form, Misfit, Value
from chainlang.diagnostics.source import Span
from chainlang.ir import declarations
from chainlang.ir.builtins import Kind
from chainlang.ir.declarations import Item, Op
from chainlang.ir.nodes import Function, Stage
from chainlang.ir.tables import plain
from chainlang.ir.wiring import named_parts
from chainlang.protocol.messages import Message, Role, Sample, Sampling
from chainlang.protocol.template_args import canonical
from chainlang.semantics.bindings import NOTHING, Bound, normalizer
from chainlang.semantics.cut import was_cut, why_cut
from chainlang.semantics.describing import description_of, fields_of
from chainlang.semantics.examples import Examples, examples_of
from chainlang.semantics.expressions import evaluate, names
from chainlang.semantics.prelude import prelude
from chainlang.semantics.prompts import RenderError, variables
from chainlang.semantics.record import NO_CHOICES, Candidate, Record
from chainlang.semantics.reply_forms import ReplyForms
from chainlang.semantics.sampling import (
    adapter_of,
    budgets_of,
    demands,
    fallbacks_of,
    most_tokens,
    sampling_of,
)
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError, no_candidates
from chainlang.semantics.voting import ANSWERS, Counting, vote
from chainlang.tiny import NAME as TINY


@frozen
class Meaning:
    """A stage with its op's settings and all defaults filled in."""

    name: str
    kind: Kind
    count: int
    model: str
    sampling: Sampling
    user: str
    """Template of the user message."""
    system: str | None = None
    prefix: str = ""
    """Template of the beginning of a reply."""
    messages: str | None = None
    """Expression for the messages before the user message."""
    images: str | None = None
    """Expression for the images of the user message."""
    examples: Examples | None = None
    returns: declarations.Type | None = None
    answer: str | None = None
    """Expression over the fields of a reply, which is the answer."""
    choose: str | None = None
    """Field of a reply with the number of the chosen candidate."""
    need: int | float | None = None
    """Number of samples that must succeed, or their share; None for all."""
    keeps_cut: bool = False
    """Whether a reply that was cut is a candidate; otherwise it is a failed sample."""
    of: tuple[str, ...] = ()
    """Named parts whose candidates it reads; empty for those of the step before it."""
    fresh: bool = False
    continues: bool = False
    """Whether its prompt follows the messages that its candidate is from, and the reply."""
    template_args: str = ""
    """Arguments of the chat template besides those of the model, as JSON."""
    adapter: str = ""
    """LoRA adapter of its model; "" for none."""
    fallbacks: tuple[tuple[str, str], ...] = ()
    """Models that answer where its own can't, each with its adapter."""
    thinking_tokens: int | None = None
    """Tokens after which reasoning is ended; None for no bound of its own."""
    fields: str = ""
    """Description of its type, which its templates can place; "" for free text."""
    description: str = ""
    """End of the system text, of a `continues` that of the user message; "" for none."""
    budgets: tuple[tuple[str, int], ...] = ()
    """Fields of a reply, in its order, each with the tokens after which its text is closed."""
    logprobs: bool = False
    """Whether candidates have log probabilities."""
    top_logprobs: int = 0
    """Number of likeliest tokens of which they have them, too."""
    choices: bool = False
    """Whether candidates have the probability of each value of their type."""
    demands: Mapping[str, Span | None] = field(factory=dict, eq=False, repr=False)
    """Options that only some engines have, each with its place."""
    types: Mapping[str, Declared] = field(factory=dict, hash=False)
    bound: Bound = field(default=NOTHING, eq=False, repr=False)
    replies: ReplyForms | None = None
    """Forms of its replies; None for free text."""
    span: Span | None = field(default=None, eq=False, repr=False)

    def needed(self, samples: int) -> int:
        """Return how many of a number of samples must succeed; a share is rounded up.

        >>> from chainlang import chain
        >>> [meaning(chain(f"10:E(need={need})").body).needed(10) for need in ("3", "0.7", "0.25")]
        [3, 7, 3]
        """
        if isinstance(self.need, float):  # as it is written: 0.07 * 100 is above 7
            return math.ceil(Fraction(repr(self.need)) * samples)
        return samples if self.need is None else self.need

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles of the messages of its prompts, with one turn of a conversation."""
        ends = bool(self.description) and not self.continues
        system: tuple[Role, ...] = ("system",) if ends or self.system is not None else ()
        earlier = (self.messages is not None, self.examples is not None, self.continues)
        turn: tuple[Role, ...] = ("user", "assistant") if any(earlier) else ()
        return (*system, *turn, "user")

    @property
    def read_by_prompt(self) -> frozenset[str]:
        """The names that its prompts read."""
        own = variables(self.user) | variables(self.system or "") | variables(self.prefix)
        for one in (self.messages, self.images):
            own = own if one is None else own | names(one)
        return own | {"candidate"} if self.continues else own

    def form(self, candidates: int, row: Mapping[str, Any]) -> Form | None:
        """Return the form of a reply to `candidates` candidates of a row; None for free text.

        Raises `StageError` if a list of the row can't be chosen from.
        """
        return None if self.replies is None else self.replies.form(candidates, row)


@frozen
class Vote:
    """A vote with its options."""

    how: Counting = ANSWERS
    of: tuple[str, ...] = ()
    """Named parts whose candidates it counts; empty for those of the step before it."""
    span: Span | None = field(default=None, eq=False, repr=False)


def meaning(
    stage: Stage, declared: Iterable[Item] = (), bound: Bound = NOTHING, *, model: str = TINY
) -> Meaning | Vote:
    """Resolve a stage: its own options take precedence over its op's settings and the defaults.

    `model` is the model of a stage that names none.

    >>> from chainlang import chain
    >>> found = meaning(chain("3:E").body)
    >>> found.model, found.sampling.temperature, found.sampling.max_tokens
    ('tiny', 0.7, 1024)
    """
    given: dict[str, Any] = {option.name: option.value for option in stage.options}
    if stage.name == "M":
        if isinstance(function := given.get("normalize"), Function):
            given["normalize"] = normalizer(function, bound)
        if "weight" in given:
            given["weight"] = tuple(plain(given["weight"]).items())
        counted = {one.name: given.get(one.name) for one in fields(Counting)}
        return Vote(Counting(**counted), named_parts(given.get("of")), span=stage.span)
    declared = tuple(declared)
    ops = {**prelude(), **{item.name: item for item in declared if isinstance(item, Op)}}
    op = ops[stage.name]
    settings: dict[str, Any] = {one.name: one.value for one in op.settings} | given
    temperature = settings.get("temperature") if stage.temperature is None else stage.temperature
    logprobs = settings.get("logprobs", False)
    name = stage.model or settings.get("model") or model
    kind: Any = op.kind
    types, choose = declared_types(declared), settings.get("choose")
    sampling = sampling_of(settings, temperature, most_tokens(name, declared))
    return Meaning(
        name=stage.name,
        kind=kind,
        count=stage.count,
        model=name,
        sampling=sampling,
        user=settings["user"],
        system=settings.get("system"),
        prefix=settings.get("prefix", ""),
        messages=settings.get("messages"),
        images=settings.get("images"),
        examples=examples_of(op, declared, bound) if "examples" in settings else None,
        returns=op.returns,
        answer=settings.get("answer"),
        choose=choose,
        need=settings.get("need"),
        keeps_cut=settings.get("cut") == "keep",
        of=named_parts(given.get("of")),
        fresh=settings.get("fresh", False),
        continues=settings.get("continues", False),
        template_args=canonical(plain(settings.get("template_args")) or {}),
        adapter=adapter_of(name, declared),
        fallbacks=fallbacks_of(name, settings, declared),
        thinking_tokens=settings.get("thinking_tokens"),
        fields=(words := fields_of(op, types)),
        description=description_of(settings, words),
        budgets=budgets_of(settings, op.returns, types, sampling.max_tokens),
        logprobs=bool(logprobs),
        top_logprobs=0 if isinstance(logprobs, bool) else logprobs,
        choices=settings.get("choices", False),
        demands=demands((*op.settings, *stage.options)),
        types=types,
        bound=bound,
        replies=ReplyForms.of(op.returns, types, choose, bound.classes),
        span=stage.span,
    )


def readings(stage: Meaning, record: Record) -> tuple[Candidate | None, ...]:
    """Return the inputs of a stage's prompts: each candidate for a map, otherwise a single None.

    Raises `StageError` if a fold or a map has no candidates.
    """
    if stage.kind != "generate" and not record.candidates:
        raise no_candidates(stage.name)
    return record.candidates if stage.kind == "map" else (None,)


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
    reply = _reply(stage, record, sample)
    answer, fields = _answer(stage, record, read, sample, reply.plain)
    return Candidate(
        answer,
        fields,
        sample.text,
        sample.finish,
        sample.tokens,
        sample.token_ids,
        place,
        value=reply.typed,
        unkept=sample.unkept,
        reasoning=sample.reasoning,
        logprobs=sample.logprobs,
        top_logprobs=sample.top_logprobs,
        stop=sample.stop,
        model=sample.model or stage.model,
        switched=sample.switched,
        choices=_weights(stage, record, read, sample) if sample.labels else NO_CHOICES,
        messages=prompt,
        conversation=(
            (*prompt, Message("assistant", sample.text))
            if stage.choose is None
            else record.candidates[fields[stage.choose] - 1].conversation
        ),
    )


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


def _reply(stage: Meaning, record: Record, sample: Sample) -> Value:
    """Parse a reply as a value of the stage's type."""
    if sample.refusal:
        raise StageError(sample.refusal, "refused", sample)
    form = None if stage.replies is None else _form(stage, record)
    is_cut = was_cut(sample)
    if is_cut and not stage.keeps_cut:
        raise StageError(cut_message(stage, sample), "cut", sample)
    if form is None:
        return Value(sample.text, sample.text)
    try:
        return form.read(sample.text)
    except Misfit as error:
        if is_cut:  # what is left of it is no value, so there is nothing to keep
            raise StageError(cut_message(stage, sample), "cut", sample) from error
        raise StageError(f"{error}{_left(sample)}", "reply", sample) from error


def cut_message(stage: Meaning, sample: Sample) -> str:
    """Return why a sample was cut, and what to write instead."""
    texts = () if stage.budgets else free_texts(stage.returns, stage.types)
    message = why_cut(sample, stage.sampling.max_tokens, texts)
    if stage.returns is None and not stage.keeps_cut:
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
    one = {} if read is None else {"candidate": read.view()}
    values = {**record.values, **one, "text": sample.text, **fields}
    try:
        return evaluate(stage.answer, values), fields
    except RenderError as error:
        what = f"the answer of {stage.name} can't be made: {error}"
        raise StageError(what, "reply", sample) from error


def voted(stage: Vote, record: Record) -> tuple[Candidate, ...]:
    """Return the candidate of a vote.

    Raises `StageError` if there are no candidates, or one lacks the field that is counted.
    """
    if not record.candidates:
        raise no_candidates("M")
    try:
        return (vote(record.candidates, stage.how),)
    except KeyError as error:
        raise StageError(f"a candidate has no field {error} to vote on", "input") from error

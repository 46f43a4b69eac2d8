"""Semantics of stages: what they ask for, and their candidates from replies.

These are pure functions, called by both the reference interpreter and the runtime.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

from attrs import evolve, field, fields, frozen

from chainlang.datatypes.check_types import Declared, declared_types
from chainlang.datatypes.parse_reply import Form
from chainlang.diagnostics.source import Span
from chainlang.ir import declarations
from chainlang.ir.builtins import CODE, Kind
from chainlang.ir.declarations import Item, Op
from chainlang.ir.nodes import Function, Stage
from chainlang.ir.sampling_options import DEFAULT_ROUNDS
from chainlang.ir.tables import plain
from chainlang.ir.tools import TOOL, has_effects, kind_of
from chainlang.ir.wiring import named_parts
from chainlang.protocol.messages import Role, Sampling
from chainlang.protocol.template_args import canonical
from chainlang.semantics.bindings import NOTHING, Bound, normalizer
from chainlang.semantics.describing import description_of, fields_of
from chainlang.semantics.examples import Examples, examples_of
from chainlang.semantics.expressions import names
from chainlang.semantics.prelude import prelude
from chainlang.semantics.programs import ProgramTemplate, model_of, program_template
from chainlang.semantics.prompts import variables
from chainlang.semantics.record import Candidate, Record
from chainlang.semantics.reply_forms import ReplyForms
from chainlang.semantics.row_settings import RowSettings, row_settings
from chainlang.semantics.row_settings import given as constant
from chainlang.semantics.sampling import (
    adapter_of,
    budgets_of,
    demands,
    fallbacks_of,
    most_tokens,
    sampling_of,
)
from chainlang.semantics.stage_error import StageError, no_candidates
from chainlang.semantics.tools import Tool, tools_of
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
    is_tool: bool = False
    tools: tuple[Tool, ...] = ()
    """Tools that its model may call."""
    effects: bool = False
    """Whether its calls may have effects, so that each of them is made, once and in its turn."""
    tool_rounds: int = DEFAULT_ROUNDS
    """Maximum number of replies of a sample that call tools."""
    demands: Mapping[str, Span | None] = field(factory=dict, eq=False, repr=False)
    """Options that only some engines have, each with its place."""
    by_row: RowSettings | None = None
    """Settings that depend on the row; the fields have their bounds."""
    remade: Callable[[Mapping[str, Any]], Meaning] | None = field(
        default=None, eq=False, repr=False
    )
    """Returns the stage with constants in place of these settings; None without them."""
    decider: Callable[[Op], Meaning] | None = field(default=None, eq=False, repr=False)
    """Returns the stage of an op that decides one of them."""
    types: Mapping[str, Declared] = field(factory=dict, hash=False)
    bound: Bound = field(default=NOTHING, eq=False, repr=False)
    replies: ReplyForms | None = None
    """Forms of its replies; None for free text."""
    program: ProgramTemplate | None = None
    """Tests, inputs and limits of the programs that it runs in a sandbox, which is its model; None
    if it asks a model."""
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

    def varies(self, name: str) -> bool:
        """Return whether a setting depends on the row."""
        return self.by_row is not None and self.by_row.has(name)

    @property
    def read(self) -> frozenset[str]:
        """The names that its prompts and its settings read."""
        return self.read_by_prompt | (frozenset() if self.by_row is None else self.by_row.reads)

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
        """The names that its prompts read, or its programs."""
        if self.program is not None:
            return self.program.reads | {"candidate"}
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
    declared = tuple(declared)
    if stage.name == "M":
        if isinstance(function := given.get("normalize"), Function):
            given["normalize"] = normalizer(function, bound)
        if "weight" in given:
            given["weight"] = tuple(plain(given["weight"]).items())
        counted = {one.name: given.get(one.name) for one in fields(Counting)}
        return Vote(Counting(**counted), named_parts(given.get("of")), span=stage.span)
    ops = {**prelude(), **{item.name: item for item in declared if isinstance(item, Op)}}
    op = ops[stage.name]
    settings: dict[str, Any] = {one.name: one.value for one in op.settings} | given
    if op.kind == CODE:
        return _of_programs(stage, settings, bound)
    if (by_row := row_settings(stage, settings)) is not None:
        remade = partial(_remade, stage, declared, bound, model)
        typical = remade(by_row.typical())
        decider = partial(_decider, declared, bound, typical.model)
        return evolve(typical, by_row=by_row, remade=remade, decider=decider, span=stage.span)
    temperature = settings.get("temperature") if stage.temperature is None else stage.temperature
    logprobs = settings.get("logprobs", False)
    name = stage.model or settings.get("model") or model
    types, choose = declared_types(declared), settings.get("choose")
    tools, tool_rounds = tools_of(settings, declared, bound)
    sampling = sampling_of(settings, temperature, most_tokens(name, declared))
    return Meaning(
        name=stage.name,
        kind=kind_of(op),
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
        tools=tools,
        tool_rounds=tool_rounds,
        demands=demands((*op.settings, *stage.options)),
        is_tool=op.kind == TOOL,
        effects=has_effects(op) or any(one.effects for one in tools),
        types=types,
        bound=bound,
        replies=ReplyForms.of(op.returns, types, choose, bound.classes),
        span=stage.span,
    )


_ONCE = Sampling(temperature=0, max_tokens=0)
"""Sampling parameters of programs: the seed is in the message, and no token is generated."""


def _of_programs(stage: Stage, settings: dict[str, Any], bound: Bound) -> Meaning:
    """Return a stage that runs programs, with the defaults of the prelude."""
    settings = {one.name: one.value for one in prelude()[CODE].settings} | settings
    return Meaning(
        name=stage.name,
        kind="map",
        count=1,
        model=model_of(settings),
        sampling=_ONCE,
        user="",
        answer=settings.get("answer"),
        of=named_parts(settings.get("of")),
        bound=bound,
        program=program_template(settings),
        span=stage.span,
    )


def _remade(
    stage: Stage, declared: tuple[Item, ...], bound: Bound, model: str, values: Mapping[str, Any]
) -> Meaning:
    """Return a stage with constants in place of its templates."""
    found = meaning(constant(stage, values), declared, bound, model=model)
    assert isinstance(found, Meaning)
    return found


def _decider(declared: tuple[Item, ...], bound: Bound, model: str, op: Op) -> Meaning:
    """Return the stage of an op that decides a setting in the row."""
    found = meaning(Stage(op.name), (*declared, op), bound, model=model)
    assert isinstance(found, Meaning)
    return found


def readings(stage: Meaning, record: Record) -> tuple[Candidate | None, ...]:
    """Return the inputs of a stage's prompts: each candidate for a map, otherwise a single None.

    Raises `StageError` if a fold or a map has no candidates.
    """
    if stage.kind != "generate" and not record.candidates:
        raise no_candidates(stage.name)
    return record.candidates if stage.kind == "map" else (None,)


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

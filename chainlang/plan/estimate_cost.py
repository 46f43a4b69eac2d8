"""Static cost estimate of a plan for a row: requests, samples, tokens and critical path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import assert_never

from attrs import evolve, field, frozen

from chainlang.ir.row_settings import SAMPLES
from chainlang.plan.abstract_row import AbstractCandidates, AbstractRow, Source
from chainlang.plan.cost import Asked, Cost, Counts
from chainlang.plan.graph import wiring
from chainlang.plan.interval import ANY, NONE, ONE, Range
from chainlang.plan.steps import (
    LARGEST_REQUEST,
    AskUntilAgreement,
    Call,
    Cascade,
    Count,
    Decide,
    Each,
    Fallback,
    Fork,
    Fused,
    Gather,
    Generate,
    Graph,
    Loop,
    Name,
    Plan,
    Repeat,
    Retry,
    Route,
    Sequence,
    Step,
    Timeout,
    WithFields,
)
from chainlang.plan.visit import inner
from chainlang.protocol.messages import Reader
from chainlang.semantics.combinators import beginning, in_round, listed, value_of
from chainlang.semantics.expressions import names
from chainlang.semantics.record import Record
from chainlang.semantics.row_stages import alternatives, deciders, for_record, without_deciders
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stage_prompts import messages
from chainlang.semantics.stage_replies import schema
from chainlang.semantics.stages import Meaning
from chainlang.semantics.stopping_rules import needed

_MAKING = re.compile(
    r"[~+*%|(\[{]"
)  # operators with which an expression can be longer than its inputs


def counts(
    plan: Plan,
    row: Record | None = None,
    readers: Mapping[str, Reader] | None = None,
    note: Callable[[Generate, AbstractRow], object] | None = None,
) -> Counts:
    """Return the cost of a plan for a row, if nothing fails and no two requests are equal.

    `row`: the row's record; None for bounds of any row. `readers`: tokenizers by model; the length
    of prompts is unknown for a model without one. `note` is called with each stage and what is
    known of the row before it.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> found = counts(lower(chain("3:E:a >> V:b >> M").body))
    >>> {model: str(cost.samples) for model, cost in found.models.items()}, str(found.path)
    ({'a': '3', 'b': '3'}, '2')
    """
    start = (
        AbstractRow(AbstractCandidates(ANY))
        if row is None
        else AbstractRow(AbstractCandidates.of(row.candidates), row)
    )
    return _Walk(readers or {}, note).of(plan.root, start)


@frozen
class _Walk:
    """Abstract interpreter of a plan."""

    readers: Mapping[str, Reader] = field()
    note: Callable[[Generate, AbstractRow], object] | None
    seen: dict[int, Counts] = field(factory=dict)
    """Cost of each step by its id, of the last time that it was reached."""

    def of(self, step: Step, before: AbstractRow) -> Counts:
        """Return the cost of a step for an abstract row."""
        found = self.seen[id(step)] = self._of(step, before)
        return found

    def _of(self, step: Step, before: AbstractRow) -> Counts:  # noqa: C901, PLR0912  # a match
        match step:
            case Generate():
                return self._generate(step, before)
            case Decide(generate, _, rule):
                least = needed(rule, (), generate.stage.count)
                return self._decide(generate, before, least)
            case AskUntilAgreement(operands):
                first, *others = operands
                more = (self.of(one, before).times(Range(0, 1)) for one in others)
                each = [self.of(first, before), *more]
                after = reduce(AbstractRow.beside, (one.after for one in each))
                after = after.holding(_one_of(after.lot))
                return evolve(reduce(Counts.then, each), after=after)
            case Count(vote):
                return Counts(before.holding(_one_of(before.fed(vote.of).lot)))
            case Call():  # it may return any number of candidates
                return Counts(before.holding(AbstractCandidates(ANY)))
            case Sequence(steps) | Fused(steps):
                return self._after(steps, before)
            case Gather() | Fork():
                return reduce(Counts.beside, (self.of(one, before) for one in inner(step)))
            case Graph(one):
                return self._graph(one, before)
            case Repeat(number, one):
                return self.of(one, before).times(Range.of(number))
            case Name(name, one, own):
                found = self.of(one, before)
                return evolve(found, after=found.after.named(name, own=own))
            case Fallback(steps):
                return self.of(steps[0], before)
            case Cascade(steps):
                return self._cascade(steps, before)
            case WithFields(one, fields):
                found = self.of(one, before.given(fields))
                row = before.row
                return evolve(found, after=evolve(found.after, row=row, unknown=before.unknown))
            case Retry(one) | Timeout(one):
                return self.of(one, before)
            case Route(_, arms, default):
                ways = [one for _, one in arms] + ([default] if default is not None else [])
                return reduce(Counts.or_, (self.of(one, before) for one in ways))
            case Loop(_, _, most):
                ended = last = self._round(step, before, 0)
                for number in range(1, most):
                    last = last.then(self._round(step, last.after, number))
                    ended = ended.or_(last)
                return ended
            case Each():
                return self._each(step, before)
        assert_never(step)

    def _graph(self, step: Step, before: AbstractRow) -> Counts:
        """Return the cost of a graph: that of its steps, on a path of those that wait."""
        found, ends = self.of(step, before), list[tuple[Range, Range]]()
        for node in wiring(step, once=True).nodes:
            path = tokens = NONE
            for number in node.waits:
                path, tokens = path.beside(ends[number][0]), tokens.beside(ends[number][1])
            if (own := self.seen.get(id(node.step))) is not None:  # none keeps the candidates
                path, tokens = path + own.path, tokens + own.path_tokens
            ends.append((path, tokens))
        path, tokens = (reduce(Range.beside, one) for one in zip(*ends, strict=True))
        return evolve(found, path=path, path_tokens=tokens)

    def _after(self, steps: Iterable[Step], before: AbstractRow) -> Counts:
        found = Counts(before)
        for one in steps:
            found = found.then(self.of(one, found.after))
        return found

    def _round(self, step: Loop, before: AbstractRow, number: int) -> Counts:
        if before.row is None or not step.counts:
            return self.of(step.step, before)
        found = self.of(step.step, evolve(before, row=in_round(before.row, number)))
        return evolve(found, after=evolve(found.after, row=before.row))

    def _cascade(self, steps: tuple[Step, ...], before: AbstractRow) -> Counts:
        found = self.of(steps[0], before)
        if len(steps) == 1:
            return found
        start = found.after.holding(before.lot)
        return found.or_(found.then(self._cascade(steps[1:], start)))

    def _each(self, step: Each, before: AbstractRow) -> Counts:
        items = None
        # Fields of the first candidate take precedence over those of the row.
        if before.lot.known is not None and before.knows(names(step.over)):
            try:
                items = listed(value_of(step.over, before.record(), "over="), step.most)
            except StageError:
                return Counts(before.holding(AbstractCandidates()))  # the row fails here
        if items is None:
            some = self.of(step.step, AbstractRow(AbstractCandidates.of(()))).times(
                Range(0, step.most)
            )
            return evolve(some, after=evolve(before, lot=some.after.lot))
        none = before.holding(AbstractCandidates.of(()))
        rows = (
            beginning(none.record(), step.item, item, number) for number, item in enumerate(items)
        )
        each = [self.of(step.step, evolve(none, row=row)) for row in rows]
        found = reduce(Counts.beside, each, Counts(none))
        return evolve(found, after=evolve(before, lot=found.after.lot))

    # ---- stages

    def _generate(self, step: Generate, before: AbstractRow) -> Counts:
        stage, before = step.stage, before.fed(step.stage.of)
        if deciders(stage):
            own = [self._generate(Generate(one, step.place), before) for _, one in deciders(stage)]
            rest = evolve(step, stage=without_deciders(stage))
            return reduce(Counts.then, (*own, self._generate(rest, before)))
        if (
            stage.by_row is not None
            and stage.by_row.is_settled
            and before.knows(stage.by_row.reads)
        ):
            try:
                stage = for_record(stage, before.record())
            except StageError:  # the row fails here
                return Counts(before)
            step = evolve(step, stage=stage)
        elif len(several := alternatives(stage)) > 1:
            ways = (self._generate(evolve(step, stage=one), before) for one in several)
            return reduce(Counts.or_, ways)
        least = 1 if stage.varies(SAMPLES) else stage.count
        if stage.kind != "generate" and before.lot.number.most == 0:  # the row fails here
            return Counts(before)
        asked = -(-stage.count // LARGEST_REQUEST) if step.together else stage.count
        drawn = stage.count if stage.sampling.temperature > 0 else asked
        prompts = before.lot.number if stage.kind == "map" else ONE
        asks, draws = Range(min(least, asked), asked), Range(min(least, drawn), drawn)
        cost, each = self._cost(step, before, prompts, asks, draws)
        rounds = stage.tool_rounds if stage.tools else 0
        cost = evolve(
            cost,
            requests=cost.requests + cost.samples * Range(0, rounds),
            samples=cost.samples + cost.samples * Range(0, rounds),
            prompt_tokens=ANY if rounds else cost.prompt_tokens,
            output_tokens=cost.output_tokens * Range(1, 1 + rounds),
        )
        samples = prompts * Range(least, stage.count)
        left = Range(min(stage.needed(samples.least), samples.least), samples.most)
        once = ONE if prompts.least else Range(0, 1)
        return Counts(
            before.holding(_drawn(stage, left, before)),
            {stage.model: cost},
            once * Range(1, 1 + rounds),
            once * Range(0, longest(stage)) * Range(1, 1 + rounds),
            each,
        )

    def _decide(self, step: Generate, before: AbstractRow, least: int) -> Counts:
        """Return the cost of a vote with samples in waves, of which at least `least` are run."""
        stage, before = step.stage, before.fed(step.stage.of)
        waves, drawn = Range(1, stage.count - least + 1), Range(least, stage.count)
        cost, each = self._cost(step, before, ONE, waves if step.together else drawn, drawn)
        after = before.holding(_drawn(stage, ONE, before))
        way = waves * Range(0, longest(stage))
        return Counts(after, {stage.model: cost}, waves, way, each)

    def _cost(
        self, step: Generate, before: AbstractRow, prompts: Range, asked: Range, drawn: Range
    ) -> tuple[Cost, tuple[Asked, ...]]:
        """Return the cost of a stage, and its prompts.

        `asked` and `drawn` are the numbers of requests and samples of each prompt.
        """
        stage = step.stage
        if stage.program is not None:  # it has no prompt, and no tokens
            one = Asked(stage.model, prompts * drawn, NONE, shared=step.shared)
            return _total(prompts * asked, (one,), NONE), (one,)
        if self.note is not None:
            self.note(step, before)
        reader = self.readers.get(stage.model)
        most = Range(0, longest(stage))
        samples, length = prompts * drawn, ANY
        if reader is not None and before.row is not None and not stage.prefix and not stage.tools:
            lists = () if stage.replies is None else stage.replies.lists
            is_known = before.knows({*stage.read_by_prompt, *lists})
            if is_known and not _is_random(stage):
                each = self._read(step, before.record(), drawn, reader)
                rooms = (_room(stage, one.length.least, reader) * drawn for one in each)
                return _total(prompts * asked, each, sum(rooms, NONE)), each
            length = before.length(stage, reader)
        one = Asked(stage.model, samples, length, shared=step.shared)
        return _total(prompts * asked, (one,), samples * most), (one,)

    @staticmethod
    def _read(step: Generate, record: Record, drawn: Range, reader: Reader) -> tuple[Asked, ...]:
        """Return the prompts of a stage with known values; empty if the row fails."""
        stage, found = step.stage, list[Asked]()
        try:
            for one in record.candidates if stage.kind == "map" else (None,):
                asked = messages(stage, record, one)
                prompt = reader.token_ids(asked, schema(stage, record), stage.template_args)
                length = Range.of(len(prompt))
                fits = _room(stage, len(prompt), reader).most != 0
                samples = drawn if fits else NONE
                found.append(Asked(stage.model, samples, length, prompt, step.shared, fits))
        except (StageError, ValueError):
            return ()
        return tuple(found)


def _is_random(stage: Meaning) -> bool:
    return stage.examples is not None and stage.examples.random


def _total(requests: Range, each: Iterable[Asked], output: Range) -> Cost:
    each = tuple(each)
    samples = sum((one.samples for one in each), NONE)
    tokens = sum((one.length * one.samples for one in each), NONE)
    return Cost(requests if each else NONE, samples, tokens, output)


def _room(stage: Meaning, prompt: int, reader: Reader) -> Range:
    """Return the number of tokens of a sample after a prompt; 0 if the prompt does not fit."""
    most, context = stage.sampling.max_tokens, reader.context
    return Range(0, most if context is None else max(0, min(most, context - prompt)))


def _one_of(lot: AbstractCandidates) -> AbstractCandidates:
    """Return one of some candidates."""
    return AbstractCandidates(ONE, None, lot.tokens, None if lot.known else lot.sources)


def _drawn(stage: Meaning, number: Range, before: AbstractRow) -> AbstractCandidates:
    """Return the candidates of a stage. What it chooses has the conversation that it had."""
    if stage.program is not None:  # what it prints is not known
        return AbstractCandidates(number, None, None, None)
    sources: tuple[Source, ...] | None = (Source(stage, before),)
    if stage.choose is not None:
        sources = None if before.lot.known else before.lot.sources
    return AbstractCandidates(number, None, _longest(stage, before.lot), sources)


def _longest(stage: Meaning, before: AbstractCandidates) -> int | None:
    """Return the maximum number of tokens of a candidate; None if there is no bound."""
    most, answer = stage.sampling.max_tokens, stage.answer or ""
    if stage.program is not None:
        return None
    if _MAKING.search(answer):
        return None
    if "candidate" not in answer and stage.choose is None:
        return most
    return None if before.tokens is None else max(most, before.tokens)  # it may be the one before


def longest(stage: Meaning) -> int:
    """Return the maximum number of tokens of a reply; the result of a tool has none."""
    return 0 if stage.is_tool else stage.sampling.max_tokens

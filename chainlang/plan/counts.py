"""What a row costs by the plan, before anything runs: requests, samples, tokens, and the way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import reduce

from attrs import evolve, field, frozen

from chainlang.ops.combinators import beginning, listed, value_of
from chainlang.ops.records import Record
from chainlang.ops.stages import Meaning, StageError, messages
from chainlang.ops.stopping import needed
from chainlang.plan.costs import Asked, Cost, Counts
from chainlang.plan.ranges import ANY, NONE, ONE, Range
from chainlang.plan.sketch import Lot, Sketch
from chainlang.plan.steps import (
    LARGEST_REQUEST,
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
    Loop,
    Name,
    Overlap,
    Plan,
    Repeat,
    Retry,
    Route,
    Sequence,
    Step,
    Timeout,
)
from chainlang.wire import Reader

_MAKING = re.compile(r"[~+*%|(\[{]")  # what an expression needs to say more than it reads


def counts(
    plan: Plan, row: Record | None = None, readers: Mapping[str, Reader] | None = None
) -> Counts:
    """Return what a row costs by a plan, where nothing fails and no two requests are equal.

    Without a `row`, what any row costs. `readers` tell how long prompts are, by the name of the
    model; of a model that has none, nothing is known of them.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> found = counts(lower(chain("3:E:a >> V:b >> M").body))
    >>> {model: str(cost.samples) for model, cost in found.models.items()}, str(found.path)
    ({'a': '3', 'b': '3'}, '2')
    """
    start = Sketch(Lot(ANY)) if row is None else Sketch(Lot.of(row.candidates), row)
    return _Walk(readers or {}).of(plan.root, start)


@frozen
class _Walk:
    """A way through a plan on which nothing runs."""

    readers: Mapping[str, Reader] = field()

    def of(self, step: Step, before: Sketch) -> Counts:
        """Return what a step costs a row of which so much is known before it."""
        match step:
            case Generate():
                return self._generate(step, before)
            case Decide(generate, _, rule):
                least = needed(rule, (), generate.stage.count)
                return self._decide(generate, before, least)
            case Cascade((first, *others)):
                more = (self.of(one, before).times(Range(0, 1)) for one in others)
                each = [self.of(first, before), *more]
                after = reduce(Sketch.beside, (one.after for one in each))
                after = after.holding(Lot(ONE, None, after.lot.tokens))
                return evolve(reduce(Counts.then, each), after=after)
            case Count():
                return Counts(before.holding(Lot(ONE, None, before.lot.tokens)))
            case Call():  # it may make one, several or none of each
                return Counts(before.holding(Lot(ANY)))
            case Sequence(steps) | Fused(steps):
                return self._after(steps, before)
            case Gather(steps) | Fork(steps):
                ones = (one if isinstance(one, Step) else one[1] for one in steps)
                return reduce(Counts.beside, (self.of(one, before) for one in ones))
            case Overlap(steps):
                each = [self.of(one, before) for one in steps]
                found = reduce(Counts.beside, each)
                return evolve(found, after=found.after.holding(each[-1].after.lot))
            case Repeat(number, one):
                return self.of(one, before).times(Range.of(number))
            case Name(name, one, own):
                found = self.of(one, before)
                return evolve(found, after=found.after.named(name, own=own))
        return self._combined(step, before)

    def _combined(self, step: Step, before: Sketch) -> Counts:
        match step:
            case Fallback(steps):
                return self.of(steps[0], before)
            case Retry(one) | Timeout(one):
                return self.of(one, before)
            case Route(_, arms, default):
                ways = [one for _, one in arms] + ([default] if default is not None else [])
                return reduce(Counts.or_, (self.of(one, before) for one in ways))
            case Loop(one, _, most):
                ended = last = self.of(one, before)
                for _ in range(1, most):
                    last = last.then(self.of(one, last.after))
                    ended = ended.or_(last)
                return ended
            case Each():
                return self._each(step, before)
        raise TypeError(f"not a step that stands alone: {step!r}")

    def _after(self, steps: Iterable[Step], before: Sketch) -> Counts:
        found = Counts(before)
        for one in steps:
            found = found.then(self.of(one, found.after))
        return found

    def _each(self, step: Each, before: Sketch) -> Counts:
        items = None
        # Where there are candidates, the fields of the first come before those of the row.
        if before.lot.known is not None and before.knows(f"{{{{ {step.over} }}}}"):
            try:
                items = listed(value_of(step.over, before.record(), "over="), step.most)
            except StageError:
                return Counts(before.holding(Lot()))  # the row fails here
        if items is None:
            some = self.of(step.step, Sketch(Lot.of(()))).times(Range(0, step.most))
            return evolve(some, after=evolve(before, lot=some.after.lot))
        none = before.holding(Lot.of(()))
        rows = (beginning(none.record(), step.item, item) for item in items)
        each = [self.of(step.step, evolve(none, row=row)) for row in rows]
        found = reduce(Counts.beside, each, Counts(none))
        return evolve(found, after=evolve(before, lot=found.after.lot))

    # ---- stages

    def _generate(self, step: Generate, before: Sketch) -> Counts:
        stage = step.stage
        asked = -(-stage.count // LARGEST_REQUEST) if step.together else stage.count
        drawn = stage.count if stage.sampling.temperature > 0 else asked
        if stage.kind != "generate" and before.lot.number.most == 0:  # the row fails here
            return Counts(before)
        prompts = before.lot.number if stage.kind == "map" else ONE
        cost, known = self._cost(stage, before, prompts, Range.of(asked), Range.of(drawn))
        left = prompts * Range(stage.need or stage.count, stage.count)
        once = ONE if prompts.least else Range(0, 1)
        return Counts(
            before.holding(Lot(left, None, _longest(stage, before.lot))),
            {stage.model: cost},
            once,
            once * Range(0, stage.sampling.max_tokens),
            known,
        )

    def _decide(self, generate: Generate, before: Sketch, least: int) -> Counts:
        """Return what a vote costs whose samples come in waves, `least` of them in any case."""
        stage = generate.stage
        waves, drawn = Range(1, stage.count - least + 1), Range(least, stage.count)
        asked = waves if generate.together else drawn
        cost, known = self._cost(stage, before, ONE, asked, drawn)
        after = before.holding(Lot(ONE, None, _longest(stage, before.lot)))
        way = waves * Range(0, stage.sampling.max_tokens)
        return Counts(after, {stage.model: cost}, waves, way, known)

    def _cost(
        self, stage: Meaning, before: Sketch, prompts: Range, asked: Range, drawn: Range
    ) -> tuple[Cost, tuple[Asked, ...]]:
        """Return the cost of a stage, and those of its prompts that are known.

        `asked` and `drawn` are how many requests and samples there are of each prompt.
        """
        samples = prompts * drawn
        whole = samples * Range(0, stage.sampling.max_tokens)
        cost = Cost(prompts * asked, samples, ANY * samples, whole)
        reader = self.readers.get(stage.model)
        if reader is None or before.row is None:
            return cost, ()
        if not all(before.knows(one) for one in (stage.user, stage.system or "")):
            return evolve(cost, prompt_tokens=before.length(stage, reader) * samples), ()
        record = before.record()
        readings = record.candidates if stage.kind == "map" else (None,)
        try:
            read = [reader.token_ids(messages(stage, record, one)) for one in readings]
        except (StageError, ValueError):  # the row fails here
            return Cost(), ()
        rooms = [_room(stage, len(one), reader) for one in read]
        known = tuple(
            Asked(stage.model, one, drawn if room else NONE, fits=room > 0)
            for one, room in zip(read, rooms, strict=True)
        )
        found = Cost(
            cost.requests,
            sum((one.samples for one in known), NONE),
            sum((Range.of(len(one.prompt)) * one.samples for one in known), NONE),
            sum((Range(0, room) * drawn for room in rooms), NONE),
        )
        return found, known


def _room(stage: Meaning, prompt: int, reader: Reader) -> int:
    """Return how many tokens a sample may have after a prompt, which is 0 where it does not fit."""
    most = stage.sampling.max_tokens
    return most if reader.context is None else max(0, min(most, reader.context - prompt))


def _longest(stage: Meaning, before: Lot) -> int | None:
    """Return how many tokens a candidate says at most; None where its answer may be anything."""
    most, answer = stage.sampling.max_tokens, stage.answer or ""
    if _MAKING.search(answer):
        return None
    if stage.kind == "generate" and stage.choose is None:
        return most
    return None if before.tokens is None else max(most, before.tokens)  # it may be the one before

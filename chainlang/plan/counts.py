"""What a row costs by the plan, before anything runs: requests, samples, tokens, and the way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce

from attrs import field, frozen

from chainlang.ops.stopping import needed
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


@frozen
class Range:
    """A number that is known as far as the plan tells it; `most` is None where the row decides.

    >>> str(Range(2, 5) + Range(1, 1)), str(Range(1, None))
    ('3 to 6', '1 or more')
    """

    least: int = 0
    most: int | None = 0

    @staticmethod
    def of(number: int) -> Range:
        """Return a number that is known."""
        return Range(number, number)

    def __add__(self, other: Range) -> Range:
        unknown = self.most is None or other.most is None
        return Range(
            self.least + other.least, None if unknown else (self.most or 0) + (other.most or 0)
        )

    def __mul__(self, other: Range) -> Range:
        most = None if None in (self.most, other.most) else (self.most or 0) * (other.most or 0)
        return Range(self.least * other.least, 0 if 0 in (self.most, other.most) else most)

    def __or__(self, other: Range) -> Range:
        """Return what is one or the other."""
        unknown = self.most is None or other.most is None
        most = None if unknown else max(self.most or 0, other.most or 0)
        return Range(min(self.least, other.least), most)

    def beside(self, other: Range) -> Range:
        """Return the larger of two numbers."""
        return Range(max(self.least, other.least), (self | other).most)

    def __str__(self) -> str:
        if self.most is None:
            return f"{self.least:,} or more"
        return f"{self.least:,}" + (f" to {self.most:,}" if self.most > self.least else "")


NONE, ONE = Range(), Range.of(1)


@frozen
class Cost:
    """What one model has to do for a row."""

    requests: Range = NONE
    samples: Range = NONE
    """Drawn; at temperature 0 one for all that would be equal."""
    output_tokens: Range = NONE
    """At most `max_tokens` for each sample."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.requests + other.requests,
            self.samples + other.samples,
            self.output_tokens + other.output_tokens,
        )

    def __or__(self, other: Cost) -> Cost:
        return Cost(
            self.requests | other.requests,
            self.samples | other.samples,
            self.output_tokens | other.output_tokens,
        )

    def __mul__(self, times: Range) -> Cost:
        return Cost(self.requests * times, self.samples * times, self.output_tokens * times)


@frozen
class Counts:
    """What a step costs for a row, and how many candidates it leaves."""

    candidates: Range = NONE
    models: Mapping[str, Cost] = field(factory=dict)
    path: Range = NONE
    """Requests that wait for each other, one after the other."""

    def then(self, other: Counts) -> Counts:
        """Return what both cost, the other one after this."""
        return Counts(other.candidates, _sum(self, other), self.path + other.path)

    def beside(self, other: Counts) -> Counts:
        """Return what both cost at the same time."""
        candidates = self.candidates + other.candidates
        return Counts(candidates, _sum(self, other), self.path.beside(other.path))

    def or_(self, other: Counts) -> Counts:
        """Return what one of them costs."""
        names = {**self.models, **other.models}
        models = {
            name: self.models.get(name, Cost()) | other.models.get(name, Cost()) for name in names
        }
        return Counts(self.candidates | other.candidates, models, self.path | other.path)

    def times(self, number: Range) -> Counts:
        """Return what so many of them cost at the same time."""
        models = {name: cost * number for name, cost in self.models.items()}
        path = self.path * (ONE if number.least else Range(0, 1))
        return Counts(self.candidates * number, models, path)


def _sum(one: Counts, other: Counts) -> dict[str, Cost]:
    names = {**one.models, **other.models}
    return {name: one.models.get(name, Cost()) + other.models.get(name, Cost()) for name in names}


def counts(plan: Plan) -> Counts:
    """Return what a row costs by a plan, where nothing fails and no rows are equal.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> found = counts(lower(chain("3:E:a >> V:b >> M").body))
    >>> {model: str(cost.samples) for model, cost in found.models.items()}, str(found.path)
    ({'a': '3', 'b': '3'}, '2')
    """
    return _of(plan.root, NONE)


def _of(step: Step, before: Range) -> Counts:
    """Return what a step costs that has so many candidates before it."""
    match step:
        case Generate():
            return _generate(step, before)
        case Decide(generate, _, rule):
            least = needed(rule, (), generate.stage.count)
            waves = Range(1, generate.stage.count - least + 1)
            drawn = Range(least, generate.stage.count)
            cost = Cost(
                waves if generate.together else drawn,
                drawn,
                drawn * Range(0, generate.stage.sampling.max_tokens),
            )
            return Counts(ONE, {generate.stage.model: cost}, waves)
        case Cascade((first, *others)):
            found = _of(first, before)
            for one in others:
                found = found.then(_of(one, before).times(Range(0, 1)))
            return Counts(ONE, found.models, found.path)
        case Count():
            return Counts(ONE)
        case Call():
            return Counts(Range(0, None))  # it may make one, several or none of each
        case Sequence(steps) | Fused(steps):
            return _after(steps, before)
        case Gather(steps) | Overlap(steps):
            found = reduce(Counts.beside, (_of(one, before) for one in steps))
            if isinstance(step, Gather):
                return found
            return Counts(_of(steps[-1], before).candidates, found.models, found.path)
        case Fork(branches):
            return reduce(Counts.beside, (_of(one, before) for _, one in branches))
        case Repeat(number, one):
            return _of(one, before).times(Range.of(number))
        case Name(_, one) | Timeout(one):
            return _of(one, before)
    return _combined(step, before)


def _combined(step: Step, before: Range) -> Counts:
    match step:
        case Fallback(steps):
            return _of(steps[0], before)
        case Retry(one):
            return _of(one, before)
        case Route(_, arms, default):
            ways = [one for _, one in arms] + ([default] if default is not None else [])
            return reduce(Counts.or_, (_of(one, before) for one in ways))
        case Loop(one, _, most):
            return reduce(Counts.or_, (_after([one] * n, before) for n in range(1, most + 1)))
        case Each(one):
            return _of(one, NONE).times(Range(0, None))
    raise TypeError(f"not a step that stands alone: {step!r}")


def _after(steps: Iterable[Step], before: Range) -> Counts:
    found = Counts(before)
    for one in steps:
        found = found.then(_of(one, found.candidates))
    return found


def _generate(step: Generate, before: Range) -> Counts:
    stage = step.stage
    prompts = before if stage.kind == "map" else ONE
    asked = -(-stage.count // LARGEST_REQUEST) if step.together else stage.count
    drawn = stage.count if stage.sampling.temperature > 0 else asked
    samples = prompts * Range.of(drawn)
    tokens = samples * Range(0, stage.sampling.max_tokens)
    cost = Cost(prompts * Range.of(asked), samples, tokens)
    left = prompts * Range(stage.need or stage.count, stage.count)
    return Counts(left, {stage.model: cost}, ONE if prompts.least else Range(0, 1))

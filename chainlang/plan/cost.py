"""What steps cost before they run, and how that adds up along a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import add, or_

from attrs import evolve, field, frozen

from chainlang.plan.abstract_row import Sketch
from chainlang.plan.interval import NONE, ONE, Range


@frozen
class Cost:
    """What one model has to do."""

    requests: Range = NONE
    samples: Range = NONE
    """Drawn; at temperature 0 one for all that would be equal."""
    prompt_tokens: Range = NONE
    """The length of the prompt, once for each sample."""
    output_tokens: Range = NONE
    """At most `max_tokens` for each sample."""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.requests + other.requests,
            self.samples + other.samples,
            self.prompt_tokens + other.prompt_tokens,
            self.output_tokens + other.output_tokens,
        )

    def __or__(self, other: Cost) -> Cost:
        return Cost(
            self.requests | other.requests,
            self.samples | other.samples,
            self.prompt_tokens | other.prompt_tokens,
            self.output_tokens | other.output_tokens,
        )

    def __mul__(self, times: Range) -> Cost:
        return Cost(
            self.requests * times,
            self.samples * times,
            self.prompt_tokens * times,
            self.output_tokens * times,
        )


@frozen
class Asked:
    """Prompts of one stage, and how many samples are drawn of them together."""

    model: str
    samples: Range
    length: Range
    """In tokens, of each."""
    prompt: Sequence[int] | None = None
    """The tokens of the only one, where they are known before the run."""
    shared: bool = False
    """Whether one that turns out equal to another is asked once."""
    fits: bool = True
    """Whether the context of its model holds it; else it is refused, and nothing is drawn."""


@frozen
class Counts:
    """What a step costs for a row, and what the row is behind it."""

    after: Sketch = field(factory=Sketch)
    models: Mapping[str, Cost] = field(factory=dict)
    path: Range = NONE
    """Requests that wait for each other, one after the other."""
    path_tokens: Range = NONE
    """Tokens that are drawn one after the other, where replies are as long as they may be."""
    asked: tuple[Asked, ...] = ()

    @property
    def candidates(self) -> Range:
        """How many candidates it leaves."""
        return self.after.lot.number

    def then(self, other: Counts) -> Counts:
        """Return what both cost, the other one after this."""
        return Counts(
            other.after,
            _merged(self.models, other.models, add),
            self.path + other.path,
            self.path_tokens + other.path_tokens,
            (*self.asked, *other.asked),
        )

    def beside(self, other: Counts) -> Counts:
        """Return what both cost at the same time."""
        return Counts(
            self.after.beside(other.after),
            _merged(self.models, other.models, add),
            self.path.beside(other.path),
            self.path_tokens.beside(other.path_tokens),
            (*self.asked, *other.asked),
        )

    def or_(self, other: Counts) -> Counts:
        """Return what one of them costs."""
        shared = 0
        for one, another in zip(self.asked, other.asked, strict=False):
            if one != another:
                break
            shared += 1
        perhaps = (*self.asked[shared:], *other.asked[shared:])
        return Counts(
            self.after.or_(other.after),
            _merged(self.models, other.models, or_),
            self.path | other.path,
            self.path_tokens | other.path_tokens,
            (*self.asked[:shared], *(evolve(one, samples=one.samples.possible) for one in perhaps)),
        )

    def times(self, number: Range) -> Counts:
        """Return what so many of them cost at the same time."""
        once = ONE if number.least else Range(0, 1)
        return Counts(
            self.after.holding(self.after.lot * number),
            {name: cost * number for name, cost in self.models.items()},
            self.path * once,
            self.path_tokens * once,
            tuple(evolve(one, samples=one.samples * number) for one in self.asked),
        )


def _merged(
    one: Mapping[str, Cost], other: Mapping[str, Cost], how: Callable[[Cost, Cost], Cost]
) -> dict[str, Cost]:
    return {name: how(one.get(name, Cost()), other.get(name, Cost())) for name in {**one, **other}}

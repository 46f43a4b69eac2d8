"""Cost estimates of steps, and their composition along a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from operator import add, or_

from attrs import evolve, field, frozen

from chainlang.plan.abstract_row import AbstractRow
from chainlang.plan.interval import NONE, ONE, Range


@frozen
class Cost:
    """Work of one model, as intervals."""

    requests: Range = NONE
    samples: Range = NONE
    """Generated samples; one for a request at temperature 0."""
    prompt_tokens: Range = NONE
    """Tokens of the prompt, counted for each sample."""
    output_tokens: Range = NONE
    """Generated tokens; the upper bound is `max_tokens` for each sample."""

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

    def scaled(self, share: Fraction) -> Cost:
        """Return so many times the cost."""
        return Cost(
            self.requests.scaled(share),
            self.samples.scaled(share),
            self.prompt_tokens.scaled(share),
            self.output_tokens.scaled(share),
        )


@frozen
class Asked:
    """Prompts of one stage, with the number of samples of all of them."""

    model: str
    samples: Range
    length: Range
    """Tokens of each prompt."""
    prompt: Sequence[int] | None = None
    """Tokens of the prompt, if there is one and it is known before the run."""
    shared: bool = False
    """Whether equal requests are deduplicated."""
    fits: bool = True
    """Whether the prompt fits into the model's context; otherwise there are no samples."""


@frozen
class Counts:
    """Cost of a step for a row, and the abstract row after it."""

    after: AbstractRow = field(factory=AbstractRow)
    models: Mapping[str, Cost] = field(factory=dict)
    """Cost by model."""
    path: Range = NONE
    """Number of requests on the critical path."""
    path_tokens: Range = NONE
    """Generated tokens on the critical path, if all replies have maximum length."""
    asked: tuple[Asked, ...] = ()

    @property
    def candidates(self) -> Range:
        """Number of candidates after the step."""
        return self.after.lot.number

    def then(self, other: Counts) -> Counts:
        """Return the cost of both, one after the other."""
        return Counts(
            other.after,
            _merged(self.models, other.models, add),
            self.path + other.path,
            self.path_tokens + other.path_tokens,
            (*self.asked, *other.asked),
        )

    def beside(self, other: Counts) -> Counts:
        """Return the cost of both, in parallel."""
        return Counts(
            self.after.beside(other.after),
            _merged(self.models, other.models, add),
            self.path.beside(other.path),
            self.path_tokens.beside(other.path_tokens),
            (*self.asked, *other.asked),
        )

    def or_(self, other: Counts) -> Counts:
        """Return the cost of one of them, whichever runs."""
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
        """Return the cost of `number` runs in parallel."""
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

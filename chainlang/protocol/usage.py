"""Usage of requests, rows and runs: calls, tokens, and their cost where it is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from attrs import field, frozen

from chainlang.protocol.quick_init import quick_init

ZERO = Decimal(0)


def plus(cost: Decimal | None, other: Decimal | None) -> Decimal | None:
    """Return the sum of two costs; None if one of them is unknown."""
    return None if cost is None or other is None else cost + other


@quick_init
@frozen(weakref_slot=False)
class Usage:
    """Cost of a request, a row or a run, in calls and tokens. Usages can be added.

    One request for n samples costs as much as n requests for one sample: each sample is a call and
    counts the whole prompt. `cached_tokens` says how much of that was not computed again.

    >>> Usage(1, 10, 0, 5) + Usage(1, 10, 8, 7)
    Usage(calls=2, prompt_tokens=20, cached_tokens=8, output_tokens=12)
    """

    calls: int = 0
    """Generated samples; one for a request at temperature 0, whatever its count."""
    prompt_tokens: int = 0
    """Tokens of the prompt, counted once for each call."""
    cached_tokens: int = 0
    """Prompt tokens found in the engine's prefix cache; part of `prompt_tokens`."""
    output_tokens: int = 0
    uncounted_tokens: int = field(default=0, eq=False, repr=False, kw_only=True)
    """Prompt tokens of further samples of a request, which its server counts once for all of them;
    part of `cached_tokens`."""
    cost: Decimal | None = field(default=None, eq=False, repr=False, kw_only=True)
    """Price in dollars; None if it is unknown, unless there is no usage at all."""

    @property
    def is_empty(self) -> bool:
        """Whether there is no usage at all."""
        return not (self.calls or self.prompt_tokens or self.output_tokens)

    @property
    def spent(self) -> Decimal | None:
        """Price in dollars; None if it is unknown."""
        return ZERO if self.cost is None and self.is_empty else self.cost

    def __add__(self, other: Usage) -> Usage:
        return Usage.total((self, other))

    def __sub__(self, other: Usage) -> Usage:
        cost = None if self.spent is None or other.spent is None else self.spent - other.spent
        return Usage(
            self.calls - other.calls,
            self.prompt_tokens - other.prompt_tokens,
            self.cached_tokens - other.cached_tokens,
            self.output_tokens - other.output_tokens,
            uncounted_tokens=self.uncounted_tokens - other.uncounted_tokens,
            cost=cost,
        )

    @classmethod
    def total(cls, usages: Iterable[Usage]) -> Usage:
        """Return the sum of usages. Its cost is unknown if that of one of them is."""
        several = [*usages]
        if len(several) == 1:  # as of most rows
            return several[0]
        calls = prompts = cached = outputs = uncounted = 0
        cost: Decimal | None = ZERO
        for usage in several:
            calls += usage.calls
            prompts += usage.prompt_tokens
            cached += usage.cached_tokens
            outputs += usage.output_tokens
            uncounted += usage.uncounted_tokens
            if cost is not None:
                cost = plus(cost, usage.spent)
        return cls(calls, prompts, cached, outputs, uncounted_tokens=uncounted, cost=cost)

    def as_json(self) -> dict[str, Any]:
        """Return the usage as JSON values; without its cost, if that is unknown."""
        cost = {} if self.cost is None else {"cost": str(self.cost)}
        return {
            "calls": self.calls,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "output_tokens": self.output_tokens,
            **cost,
        }

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> Usage:
        """Return the usage of JSON values."""
        counts = {name: value for name, value in found.items() if name != "cost"}
        return cls(**counts, cost=Decimal(found["cost"]) if "cost" in found else None)

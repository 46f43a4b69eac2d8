"""Prices of models, and the cost of what they are used for."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import frozen

from chainlang.protocol.usage import ZERO, Usage, plus

_MILLION = Decimal(1_000_000)
_HOUR = Decimal(3600)
_SMALLEST = Decimal("1e-12")
"""Dollars to which a cost from seconds is rounded."""


@frozen
class Tier:
    """Price of a request whose prompt is longer than a number of tokens, as of `Price`."""

    start: int
    input: Decimal
    output: Decimal
    cached: Decimal | None = None


@frozen
class Price:
    """Price of a model in dollars: for a million tokens, or for an hour of its engine.

    >>> price = Price(Decimal("2.5"), Decimal(10), Decimal("1.25"))
    >>> price.of(Usage(1, 1000, 400, 100))
    Decimal('0.003')
    """

    input: Decimal = ZERO
    """Dollars for a million tokens of prompts."""
    output: Decimal = ZERO
    """Dollars for a million tokens of replies."""
    cached: Decimal | None = None
    """Dollars for a million tokens of prompts that were cached; None for that of others."""
    gpu_hour: Decimal | None = None
    """Dollars for an hour in which the engine works; None for a price by tokens."""
    tiers: tuple[Tier, ...] = ()
    """Prices of longer prompts, the shortest first."""

    def of(self, usage: Usage) -> Decimal:
        """Return the cost of a usage by its tokens.

        A prompt is paid once for all samples of a request that its server counts it once for.
        """
        cached = usage.cached_tokens - usage.uncounted_tokens
        fresh = usage.prompt_tokens - usage.uncounted_tokens - cached
        length = usage.prompt_tokens // max(1, usage.calls)
        tier: Price | Tier = self
        for one in self.tiers:
            tier = one if length > one.start else tier
        cost = fresh * tier.input + usage.output_tokens * tier.output
        cost += cached * (tier.input if tier.cached is None else tier.cached)
        return cost / _MILLION

    def of_seconds(self, seconds: float) -> Decimal:
        """Return the cost of seconds in which the engine works."""
        hour = self.gpu_hour or ZERO
        return (Decimal(repr(seconds)) * hour / _HOUR).quantize(_SMALLEST)


def dollars(cost: Decimal | None) -> str:
    """Return a cost as text.

    >>> [dollars(one) for one in (Decimal("0.00001234"), Decimal("12.3456"), Decimal(0), None)]
    ['$0.00001234', '$12.35', '$0', 'not known']
    """
    if cost is None:
        return "not known"
    if not cost:
        return "$0"
    if abs(cost) >= 1:
        return f"${cost:,.2f}"
    digits = max(4, 3 - cost.adjusted())
    return f"${cost:.{digits}f}".rstrip("0")


def total(costs: Mapping[str, Decimal | None]) -> Decimal | None:
    """Return the sum of costs; None if one of them is unknown."""
    found: Decimal | None = ZERO
    for cost in costs.values():
        found = plus(found, cost)
    return found


def shares(cost: Decimal, count: int) -> list[Decimal]:
    """Return a cost as equal shares whose sum it is; the last one has what is left.

    >>> [str(one) for one in shares(Decimal("0.0001"), 3)]
    ['0.000033333333', '0.000033333333', '0.000033333334']
    """
    if count <= 1:
        return [cost] * count
    each = (cost / count).quantize(_SMALLEST)
    return [*[each] * (count - 1), cost - each * (count - 1)]

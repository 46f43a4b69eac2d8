"""Budgets of calls, tokens and cost: of each row and of the run."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from attrs import Factory, define, field

from chainlang.limits import current
from chainlang.protocol.messages import Completion, Failure, Request, Usage
from chainlang.protocol.price import dollars
from chainlang.protocol.usage import ZERO
from chainlang.runtime.limits import RunLimits
from chainlang.semantics.stage_error import StageError


@define(eq=False)
class RowBudget:
    """Budget of a row. Requests are charged when they are made; a failed one is refunded."""

    limits: RunLimits = field(factory=RunLimits)
    calls: int = 0
    tokens: int = 0
    cost: Decimal = ZERO
    counts: bool = field(default=Factory(lambda self: self.limits.has_row_budget, takes_self=True))
    """Whether calls, tokens or cost are limited; if not, they are not counted."""
    items: int = field(factory=lambda: current().calls_per_row)
    """Number of items for which `each` may still run its part; nested lists multiply it."""

    def take(self, items: int) -> None:
        """Charge the items of an `each`. Raises `StageError` if too few are left."""
        self.items -= items
        if self.items < 0:
            message = "over= has, with those of the lists around it, more items than calls_per_row"
            raise StageError(message, "input")

    def charge(self, requests: Iterable[Request]) -> None:
        """Charge requests. Raises `StageError` if they exceed the budget."""
        if not self.counts:
            return
        calls, tokens, cost = self.limits.row_calls, self.limits.row_tokens, self.limits.row_cost
        drawn = sum(request.calls for request in requests)
        if calls is not None and self.calls + drawn > calls:
            what = f"row_calls={calls} is used up: {self.calls} made, {drawn} more requested"
            raise StageError(what, "budget")
        if tokens is not None and self.tokens >= tokens:
            raise StageError(f"row_tokens={tokens} is used up: {self.tokens} used", "budget")
        if cost is not None and self.cost >= cost:
            raise StageError(f"row_cost={cost} is used up: {dollars(self.cost)} spent", "budget")
        self.calls += drawn

    def settle(self, request: Request, reply: Completion | Failure) -> None:
        """Charge the tokens of a reply, or refund what a failed request has not drawn."""
        if not self.counts:
            return
        self.tokens += _tokens(reply.usage)
        self.cost += reply.usage.spent or ZERO
        if isinstance(reply, Failure):
            self.calls -= request.calls - reply.usage.calls


@define(eq=False)
class RunBudget:
    """Budget of a run, for requests to engines; cache hits and resumed rows cost nothing.

    Once it is used up, no request is made, and the requests in flight are waited for and charged.
    """

    limits: RunLimits
    calls: int = 0
    tokens: int = 0
    cost: Decimal = ZERO
    in_flight: int = 0
    """Number of requests that engines are working on."""
    used_up: str = ""
    """Message about the limit that was reached; empty for none."""
    timed_out: bool = False
    """Whether that limit is the time of the run."""

    def has_room(self, request: Request) -> bool:
        """Return whether a request may be made; if not, the budget is used up."""
        calls, tokens = self.limits.run_calls, self.limits.run_tokens
        if calls is not None and self.calls + request.calls > calls:
            self._end("run_calls", calls)
            if request.calls > calls:
                self.used_up += f": one request has {request.drawn} samples"
        elif tokens is not None and self.tokens >= tokens:
            self._end("run_tokens", tokens)
        elif self.limits.run_cost is not None and self.cost >= self.limits.run_cost:
            self._end("run_cost", self.limits.run_cost)
        return not self.used_up

    def charge(self, request: Request) -> None:
        """Charge a request that is submitted."""
        self.calls += request.calls
        self.in_flight += 1

    def settle(self, request: Request, reply: Completion | Failure) -> None:
        """Charge the tokens of a reply, or refund what a failed request has not drawn."""
        self.in_flight -= 1
        self.tokens += _tokens(reply.usage)
        self.cost += reply.usage.spent or ZERO
        if isinstance(reply, Failure):
            self.calls -= request.calls - reply.usage.calls

    def time_out(self) -> None:
        """End the budget at the deadline of the run; requests in flight are not waited for."""
        self._end("run_seconds", self.limits.run_seconds or 0.0)
        self.timed_out = True

    def _end(self, name: str, value: float | Decimal) -> None:
        self.used_up = self.used_up or f"the budget {name}={value} is used up"

    def is_over(self, news: bool) -> bool:
        """Return whether the run ends now; `news`: whether replies have just arrived."""
        return bool(self.used_up) and (self.timed_out or not (self.in_flight or news))

    def abort(self, requests: int) -> None:
        """Remove aborted requests from those in flight; they stay charged."""
        self.in_flight -= requests


def _tokens(usage: Usage) -> int:
    return usage.prompt_tokens + usage.output_tokens

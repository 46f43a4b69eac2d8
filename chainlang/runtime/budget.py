"""What a row and a run have used of what they may cost."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from chainlang.limits import current
from chainlang.protocol.messages import Completion, Failure, Request, Usage
from chainlang.runtime.limits import Terms
from chainlang.semantics.stage_error import StageError


@define(eq=False)
class RowBudget:
    """That of one row. What it asks for counts when it asks; a call that fails is given back."""

    terms: Terms = field(factory=Terms)
    calls: int = 0
    tokens: int = 0
    items: int = field(factory=lambda: current().calls_per_row)
    """How many items it may still run a part for; a list in a list in a list is long."""

    def take(self, items: int) -> None:
        """Take items. Raises `StageError` where they do not suffice."""
        self.items -= items
        if self.items < 0:
            message = "over= has, with those of the lists around it, more items than calls_per_row"
            raise StageError(message, "input")

    def ask(self, requests: Iterable[Request]) -> None:
        """Count requests. Raises `StageError` where the row may not ask that any more."""
        calls, tokens = self.terms.row_calls, self.terms.row_tokens
        if calls is None and tokens is None:
            return
        drawn = sum(request.drawn for request in requests)
        if calls is not None and self.calls + drawn > calls:
            made = f"row_calls is {calls}: {self.calls} made, {drawn} more asked for"
            raise StageError(made, "budget")
        if tokens is not None and self.tokens >= tokens:
            raise StageError(f"row_tokens is {tokens}: {self.tokens} used", "budget")
        self.calls += drawn

    def hear(self, request: Request, reply: Completion | Failure) -> None:
        """Count what came of a request."""
        if isinstance(reply, Completion):
            self.tokens += _tokens(reply.usage)
        else:
            self.calls -= request.drawn


@define(eq=False)
class RunBudget:
    """That of a run: of what it asks of engines, and not of what it had before.

    What was asked when a budget is used up is waited for, and counts; more is not asked.
    """

    terms: Terms
    calls: int = 0
    tokens: int = 0
    flying: int = 0
    """Requests that engines have."""
    over: str = ""
    """Which budget is used up, with its value; empty for none."""
    late: bool = False
    """Whether that is the time."""

    def has_room(self, request: Request) -> bool:
        """Return whether a request may be asked; if not, the budget is over."""
        calls, tokens = self.terms.run_calls, self.terms.run_tokens
        if calls is not None and self.calls + request.drawn > calls:
            never = (
                f", and a stage asks for {request.drawn} at once" if request.drawn > calls else ""
            )
            self.over = self.over or f"run_calls={calls}{never}"
        elif tokens is not None and self.tokens >= tokens:
            self.over = self.over or f"run_tokens={tokens}"
        return not self.over

    def ask(self, request: Request) -> None:
        """Count a request that is asked."""
        self.calls += request.drawn
        self.flying += 1

    def hear(self, request: Request, reply: Completion | Failure) -> None:
        """Count what came of a request."""
        self.flying -= 1
        if isinstance(reply, Completion):
            self.tokens += _tokens(reply.usage)
        else:
            self.calls -= request.drawn

    def end(self) -> None:
        """Take note that the time of the run is over; nothing more is waited for."""
        self.over, self.late = self.over or f"run_seconds={self.terms.run_seconds:g}", True

    def is_spent(self, news: bool) -> bool:
        """Return whether the run ends now, where something has just come or not."""
        return bool(self.over) and (self.late or not (self.flying or news))

    def forget(self, aborted: int) -> None:
        """Note how many requests were aborted; their cost stays counted."""
        self.flying -= aborted


def _tokens(usage: Usage) -> int:
    return usage.prompt_tokens + usage.output_tokens

"""Prepared runs: a plan with its engines and its settings."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Protocol

from attrs import field, frozen

from chainlang.engines.protocol import Engine
from chainlang.plan.steps import Plan
from chainlang.protocol.messages import Request
from chainlang.protocol.price import Price
from chainlang.runtime.effects import RunContext
from chainlang.runtime.limits import RunLimits
from chainlang.runtime.model_swap import Swapper
from chainlang.runtime.outcome import Outcome
from chainlang.runtime.ports.stack import OpenPort, stacked
from chainlang.runtime.switching import switching
from chainlang.semantics.record import Record
from chainlang.settings import DEFAULT_WINDOW, WHOLE, Shard


class Chooser(Protocol):
    """Chooses the plan of each row, as a policy of models does."""

    def plan(self, index: int, record: Record) -> Plan:
        """Return the plan of a row."""
        ...

    def learn(self, outcome: Outcome) -> None:
        """Note how a row has ended."""
        ...


@frozen
class OnePlan:
    """The same plan for each row."""

    _plan: Plan

    def plan(self, index: int, record: Record) -> Plan:  # noqa: ARG002  # as of a policy
        """Return the plan."""
        return self._plan

    def learn(self, outcome: Outcome) -> None:
        """Do nothing."""


@frozen
class Prepared:
    """A plan, its engines, and the settings that all rows share."""

    plan: Plan
    engines: Mapping[str, Engine]
    """Engine of each model of the plan."""
    seed: int = field(default=0, kw_only=True)
    date: str | None = field(default=None, kw_only=True)
    """Date of the run, for chat templates that read it; None for today's."""
    mark: str = field(kw_only=True)
    """Mark of the run, for calls with effects: it is the same if the run is resumed. Empty if the
    plan has no such calls."""
    prices: Mapping[str, Price] = field(factory=dict, kw_only=True)
    """Price of each model of the plan for which it is known."""
    shard: Shard = field(default=WHOLE, kw_only=True)
    """Shard that the rows are of."""
    window: int = field(default=DEFAULT_WINDOW, kw_only=True)
    """Maximum number of rows in flight; 32 times as many if models are swapped and the plan groups
    work by model."""
    ordered: bool = field(default=True, kw_only=True)
    """Whether outcomes are in the order of the rows, or in the order of completion."""
    limits: RunLimits = field(factory=RunLimits, kw_only=True)
    """Limits of the run, of each row and of each call."""
    open_port: OpenPort = field(default=stacked, kw_only=True)
    chooser: Chooser | None = field(default=None, kw_only=True)
    """Chooses the plan of each row; None if all rows have the same."""
    swapper: Swapper | None = field(default=None, kw_only=True)
    """Loads and swaps the models; None to load all of them when the run starts."""
    context: RunContext = field(init=False, eq=False, repr=False)
    """Context of the rows of the run."""

    @mark.default
    def _mark(self) -> str:
        return secrets.token_hex(8) if any(one.effects for one in self.plan.stages) else ""

    @context.default
    def _context(self) -> RunContext:
        return RunContext(self.seed, self.date, self.mark, self.prices, self._common())

    def _common(self) -> dict[int, tuple[Any, Request]]:
        """Return the requests without their rows that runs of the plan have made so far."""
        if self.mark:
            return {}  # they have it
        key = (Request, self.date, self.limits, *self.prices.items())
        return self.plan.memo.get(key, dict)

    @property
    def opening(self) -> OpenPort:
        """Opens ports that ask the `fallback_models` of the plan, if there are any."""
        return switching(self.open_port, self.plan, self.engines)

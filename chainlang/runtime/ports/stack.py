"""The stack of ports between a run and an engine: those that the requests of the run need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from attrs import evolve, field, frozen

from chainlang.engines.protocol import Engine
from chainlang.plan.steps import Plan
from chainlang.runtime.budget import RunBudget
from chainlang.runtime.limits import RunLimits
from chainlang.runtime.ports.continued import ContinuedPort
from chainlang.runtime.ports.deadline import DeadlinePort
from chainlang.runtime.ports.dedup import SharedPort
from chainlang.runtime.ports.guard import GuardedPort
from chainlang.runtime.ports.port import EnginePort, Port
from chainlang.runtime.ports.priced import PricedPort
from chainlang.runtime.ports.recording import Memory, RecordedPort, keeps_costs
from chainlang.runtime.ports.switch import SwitchPort
from chainlang.runtime.ports.traced import TracedPort
from chainlang.runtime.tracing import is_on


@frozen
class Needs:
    """Needs of the requests of a run, besides an engine; by default everything but a budget."""

    budget: RunBudget | None = None
    """Budget of the run, if it is limited."""
    shares: bool = True
    """Whether equal requests may share a reply."""
    continues: bool = True
    """Whether replies may have a budget for one of their parts."""
    expires: bool = True
    """Whether requests may have a deadline."""
    traces: bool = True
    """Whether requests may be traced or counted."""
    prices: bool = True
    """Whether requests may have a price."""
    engines: Mapping[str, Engine] = field(factory=dict)
    """Engines of the models that requests may be switched to, by model."""

    @classmethod
    def of(cls, plan: Plan, limits: RunLimits, budget: RunBudget, *, prices: bool = True) -> Needs:
        """Return the needs of a run."""
        return cls(
            budget if limits.has_run_budget else None,
            plan.shares,
            any(one.thinking_tokens is not None or one.budgets for one in plan.stages),
            limits.call_seconds is not None,
            is_on(),
            prices,
        )


EVERYTHING = Needs()


class OpenPort(Protocol):
    """Opens a port to an engine for a run, with what it needs and its caches and journals."""

    def __call__(  # noqa: D102
        self, engine: Engine, needs: Needs = EVERYTHING, /, *memories: Memory
    ) -> Port: ...


def stacked(engine: Engine, needs: Needs = EVERYTHING, /, *memories: Memory) -> Port:
    """Return a port stack for an engine.

    From the outside in: deduplication, lookup in each memory, the last one first, other models in
    place of one that fails, continuation, budgets and circuit breakers, tracing, deadlines, and
    prices.
    """
    port: Port = EnginePort(engine)
    if needs.prices:
        port = PricedPort(port)
    promised = engine.capabilities
    if needs.expires and not promised.deadlines:
        port = DeadlinePort(port)
    if needs.traces:
        port = TracedPort(port)
    port = GuardedPort(port, needs.budget)
    if needs.continues and (promised.continues or promised.closes):
        port = ContinuedPort(port)
    if needs.engines:
        of_other = evolve(needs, engines={}, shares=False)
        caches = [one for one in memories if not keeps_costs(one)]
        port = SwitchPort(port, lambda name: stacked(needs.engines[name], of_other, *caches))
    for memory in memories:
        port = RecordedPort(port, memory, engine.fingerprint)
    return SharedPort(port) if needs.shares else port

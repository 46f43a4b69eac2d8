"""The stack of ports between a run and an engine."""

from __future__ import annotations

from typing import Protocol

from chainlang.engines.protocol import Engine
from chainlang.runtime.budget import RunBudget
from chainlang.runtime.ports.continued import ContinuedPort
from chainlang.runtime.ports.deadline import DeadlinePort
from chainlang.runtime.ports.dedup import SharedPort
from chainlang.runtime.ports.guard import GuardedPort
from chainlang.runtime.ports.port import EnginePort, Port
from chainlang.runtime.ports.recording import Memory, RecordedPort
from chainlang.runtime.ports.traced import TracedPort


class OpenPort(Protocol):
    """Opens a port to an engine for a run, with its budget and its caches and journals."""

    def __call__(  # noqa: D102
        self, engine: Engine, budget: RunBudget | None = None, /, *memories: Memory
    ) -> Port: ...


def stacked(engine: Engine, budget: RunBudget | None = None, /, *memories: Memory) -> SharedPort:
    """Return a port stack for an engine.

    From the outside in: deduplication, lookup in each memory, the last one first, continuation,
    budgets and circuit breakers, tracing, and deadlines.
    """
    port: Port = EnginePort(engine)
    if not engine.capabilities.deadlines:
        port = DeadlinePort(port)
    port = GuardedPort(TracedPort(port), budget)
    if engine.capabilities.continues:
        port = ContinuedPort(port)
    for memory in memories:
        port = RecordedPort(port, memory, engine.fingerprint)
    return SharedPort(port)

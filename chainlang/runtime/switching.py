"""Ports of runs whose models may be switched to others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from attrs import evolve, frozen

from chainlang.engines.protocol import Engine
from chainlang.plan.steps import Plan
from chainlang.runtime.ports.port import Port
from chainlang.runtime.ports.recording import Memory
from chainlang.runtime.ports.stack import EVERYTHING, Needs, OpenPort


@frozen
class _Switching:
    """Opens ports that ask other models where one can't answer."""

    inner: OpenPort
    engines: tuple[tuple[str, Engine], ...]

    def open_port(self, engine: Engine, needs: Needs = EVERYTHING, /, *memories: Memory) -> Port:
        """Return a port to an engine."""
        return self.inner(engine, evolve(needs, engines=dict(self.engines)), *memories)


def switching(open_port: OpenPort, plan: Plan, engines: Mapping[str, Engine]) -> OpenPort:
    """Return the function that opens the ports of a plan, for its `fallback_models`."""
    others = dict.fromkeys(name for stage in plan.stages for name, _ in stage.fallbacks)
    if not others:
        return open_port
    of_each = tuple((name, engines[name]) for name in others)
    return _made(open_port, of_each).open_port  # type: ignore[arg-type]  # a function


@lru_cache(maxsize=8)  # one object for each, so that rows share the ports of a scheduler
def _made(open_port: OpenPort, engines: tuple[tuple[str, Engine], ...]) -> _Switching:
    return _Switching(open_port, engines)

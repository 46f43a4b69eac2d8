"""A plan that is ready to run: with its engines, and with what all of its rows share."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from chainlang.engines.protocol import Engine
from chainlang.plan.steps import Plan
from chainlang.runtime.limits import RunLimits
from chainlang.runtime.model_swap import Swapper
from chainlang.runtime.ports.stack import OpenPort, stacked
from chainlang.settings import DEFAULT_WINDOW


@frozen
class Prepared:
    """A plan, the engines that answer for its models, and what the rows of a run share."""

    plan: Plan
    engines: Mapping[str, Engine]
    """The engine of each model of the plan."""
    seed: int = field(default=0, kw_only=True)
    window: int = field(default=DEFAULT_WINDOW, kw_only=True)
    """Rows in flight at most; 32 times that where models take turns and the plan groups work by
    model."""
    ordered: bool = field(default=True, kw_only=True)
    """Whether outcomes come in the order of the rows, or as rows finish."""
    limits: RunLimits = field(factory=RunLimits, kw_only=True)
    """Bounds on the cost of the run, of each row and of each call."""
    open_port: OpenPort = field(default=stacked, kw_only=True)
    swapper: Swapper | None = field(default=None, kw_only=True)
    """Loads the models and has begun to; None to load all of them when the run begins."""

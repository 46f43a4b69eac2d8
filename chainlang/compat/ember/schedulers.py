"""Schedulers: names of ways to run a graph, for `execute_graph`."""

from __future__ import annotations

from attrs import frozen

from chainlang.compat.ember.execution import Scheduler, create_scheduler

__all__ = [
    "BaseScheduler",
    "NoOpScheduler",
    "ParallelScheduler",
    "Scheduler",
    "SequentialScheduler",
    "TopologicalScheduler",
    "TopologicalSchedulerWithParallelDispatch",
    "WaveScheduler",
    "XCSNoOpScheduler",
    "create_scheduler",
]


@frozen
class SequentialScheduler(Scheduler):
    """One node after another."""

    name: str = "sequential"


@frozen
class TopologicalScheduler(Scheduler):
    """One node after another."""

    name: str = "topological"


@frozen
class ParallelScheduler(Scheduler):
    """Each node as soon as the outputs that it reads are there."""

    name: str = "parallel"


class WaveScheduler(ParallelScheduler):
    """The same as `ParallelScheduler`: there are no barriers between waves."""


class TopologicalSchedulerWithParallelDispatch(ParallelScheduler):
    """The same as `ParallelScheduler`."""


@frozen
class NoOpScheduler(Scheduler):
    """No node runs; the output of each is ``{"_simulated": True}``."""

    name: str = "noop"


BaseScheduler = Scheduler

XCSNoOpScheduler = SequentialScheduler
"""Ember's name of a scheduler that runs one node after another."""

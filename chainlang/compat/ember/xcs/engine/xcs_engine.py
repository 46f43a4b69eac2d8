"""Execution of graphs, under the path of Ember's engine."""

from chainlang.compat.ember.execution import (
    execute_graph,
)
from chainlang.compat.ember.schedulers import (
    BaseScheduler,
    NoOpScheduler,
    ParallelScheduler,
    Scheduler,
    SequentialScheduler,
    TopologicalScheduler,
    TopologicalSchedulerWithParallelDispatch,
    WaveScheduler,
    XCSNoOpScheduler,
    create_scheduler,
)

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
    "execute_graph",
]

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
from chainlang.compat.ember.xcs.engine.execution_options import (
    ExecutionOptions,
    execution_options,
    get_execution_options,
    reset_execution_options,
    set_execution_options,
)

__all__ = [
    "BaseScheduler",
    "ExecutionOptions",
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
    "execution_options",
    "get_execution_options",
    "reset_execution_options",
    "set_execution_options",
]

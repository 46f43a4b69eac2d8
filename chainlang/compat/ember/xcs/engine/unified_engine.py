"""Execution of graphs, under the path of Ember's engine."""

from chainlang.compat.ember.execution import (
    execute_graph,
)
from chainlang.compat.ember.execution_options import (
    ExecutionOptions,
    execution_options,
)

__all__ = [
    "ExecutionOptions",
    "execute_graph",
    "execution_options",
]

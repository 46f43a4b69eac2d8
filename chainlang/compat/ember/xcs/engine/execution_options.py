"""Execution options, under the path of Ember's engine."""

from chainlang.compat.ember.execution_options import (
    ExecutionOptions,
    execution_options,
    get_execution_options,
    reset_execution_options,
    set_execution_options,
)

__all__ = [
    "ExecutionOptions",
    "execution_options",
    "get_execution_options",
    "reset_execution_options",
    "set_execution_options",
]

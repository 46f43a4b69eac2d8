"""Exceptions, under the path of Ember's core."""

from chainlang.compat.ember.exceptions import (
    EmberError,
    ExecutionError,
    InvalidArgumentError,
    InvalidPromptError,
    OperatorError,
    OperatorExecutionError,
    OperatorSpecificationError,
    SpecificationValidationError,
    TransformError,
    XCSError,
)

__all__ = [
    "EmberError",
    "ExecutionError",
    "InvalidArgumentError",
    "InvalidPromptError",
    "OperatorError",
    "OperatorExecutionError",
    "OperatorSpecificationError",
    "SpecificationValidationError",
    "TransformError",
    "XCSError",
]

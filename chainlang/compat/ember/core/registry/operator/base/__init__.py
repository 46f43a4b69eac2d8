"""The base class of operators, under Ember's path."""

from chainlang.compat.ember.operator import (
    Operator,
)

__all__ = [
    "Operator",
]

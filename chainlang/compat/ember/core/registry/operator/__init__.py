"""Paths of Ember's operators."""

from chainlang.compat.ember.operator import (
    Operator,
)

__all__ = [
    "Operator",
]

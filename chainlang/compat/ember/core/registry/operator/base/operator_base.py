"""The base class of operators, under Ember's path."""

from chainlang.compat.ember.operator import (
    Operator,
)
from chainlang.compat.ember.specification import (
    Specification,
)

__all__ = [
    "Operator",
    "Specification",
]

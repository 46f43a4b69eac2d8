"""Operators, under the older path of Ember's API."""

from chainlang.compat.ember.operator import (
    Operator,
)
from chainlang.compat.ember.specification import (
    Specification,
)
from chainlang.compat.ember.structures import (
    EmberModel,
    Field,
)

__all__ = [
    "EmberModel",
    "Field",
    "Operator",
    "Specification",
]

"""Models, under the path of Ember's API."""

from chainlang.compat.ember.structures import (
    EmberModel,
    Field,
)

__all__ = [
    "EmberModel",
    "Field",
]

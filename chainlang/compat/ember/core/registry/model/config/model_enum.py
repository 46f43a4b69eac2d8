"""Names of models, under Ember's path."""

from chainlang.compat.ember.model_registry import (
    ModelEnum,
)

__all__ = [
    "ModelEnum",
]

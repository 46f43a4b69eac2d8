"""The registry of models, under Ember's path."""

from chainlang.compat.ember.model_registry import (
    ModelRegistry,
)

__all__ = [
    "ModelRegistry",
]

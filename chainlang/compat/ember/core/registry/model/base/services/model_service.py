"""Services, under Ember's path."""

from chainlang.compat.ember.model_registry import (
    ModelService,
)

__all__ = [
    "ModelService",
]

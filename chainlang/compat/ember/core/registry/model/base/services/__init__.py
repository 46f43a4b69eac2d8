"""Services, under Ember's path."""

from chainlang.compat.ember.model_registry import (
    ModelService,
    UsageService,
)

__all__ = [
    "ModelService",
    "UsageService",
]

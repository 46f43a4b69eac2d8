"""Usage by model, under Ember's path."""

from chainlang.compat.ember.model_registry import (
    UsageService,
)

__all__ = [
    "UsageService",
]

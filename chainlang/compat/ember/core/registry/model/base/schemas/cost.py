"""Prices and limits, under Ember's path."""

from chainlang.compat.ember.model_registry import (
    ModelCost,
    RateLimit,
)

__all__ = [
    "ModelCost",
    "RateLimit",
]

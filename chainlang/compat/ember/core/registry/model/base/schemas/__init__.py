"""Descriptions of models, under Ember's path."""

from chainlang.compat.ember.model_registry import (
    ModelCost,
    ModelInfo,
    ProviderInfo,
    RateLimit,
)

__all__ = [
    "ModelCost",
    "ModelInfo",
    "ProviderInfo",
    "RateLimit",
]

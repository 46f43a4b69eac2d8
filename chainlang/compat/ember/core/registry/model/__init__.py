"""Models, under Ember's path."""

from chainlang.compat.ember.model_registry import (
    ModelCost,
    ModelInfo,
    ModelRegistry,
    ModelService,
    ProviderInfo,
    RateLimit,
    UsageService,
    initialize_registry,
)

__all__ = [
    "ModelCost",
    "ModelInfo",
    "ModelRegistry",
    "ModelService",
    "ProviderInfo",
    "RateLimit",
    "UsageService",
    "initialize_registry",
]

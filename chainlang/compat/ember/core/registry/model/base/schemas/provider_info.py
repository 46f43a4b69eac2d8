"""Servers of models, under Ember's path."""

from chainlang.compat.ember.model_registry import (
    ProviderInfo,
)

__all__ = [
    "ProviderInfo",
]

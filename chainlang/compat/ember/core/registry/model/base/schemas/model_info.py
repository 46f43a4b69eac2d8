"""Descriptions of models, under Ember's path."""

from chainlang.compat.ember.model_registry import (
    ModelInfo,
)

__all__ = [
    "ModelInfo",
]

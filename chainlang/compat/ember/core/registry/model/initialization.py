"""The registry of this process, under Ember's path."""

from chainlang.compat.ember.model_registry import (
    initialize_registry,
)

__all__ = [
    "initialize_registry",
]

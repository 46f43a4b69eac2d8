"""The registry and the service of this process, under Ember's path."""

from chainlang.compat.ember.starting import (
    EmberContext,
    get_ember_context,
)

__all__ = [
    "EmberContext",
    "get_ember_context",
]

"""Overlapping calls, under the path of Ember's engine."""

from chainlang.compat.ember.compilation import (
    jit,
)

__all__ = [
    "jit",
]

"""Overlapping calls, under the path of Ember's engine."""

from chainlang.compat.ember.compilation import (
    JITOptions,
    jit,
)

__all__ = [
    "JITOptions",
    "jit",
]

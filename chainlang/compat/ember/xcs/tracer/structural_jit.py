"""Overlapping calls, under the path of Ember's engine."""

from chainlang.compat.ember.compilation import (
    disable_structural_jit,
    structural_jit,
)

__all__ = [
    "disable_structural_jit",
    "structural_jit",
]

"""Overlapping calls, under the path of Ember's engine."""

from chainlang.compat.ember.compilation import (
    JITOptions,
    explain_jit_selection,
    get_jit_stats,
    jit,
)

__all__ = [
    "JITOptions",
    "explain_jit_selection",
    "get_jit_stats",
    "jit",
]

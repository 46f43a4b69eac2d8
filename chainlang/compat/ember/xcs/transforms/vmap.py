"""Batches, under the path of Ember's engine."""

from chainlang.compat.ember.transforms import (
    vmap,
)

__all__ = [
    "vmap",
]

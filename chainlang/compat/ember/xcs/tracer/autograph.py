"""Recorded graphs, under the path of Ember's engine."""

from chainlang.compat.ember.autograph import (
    autograph,
)

__all__ = [
    "autograph",
]

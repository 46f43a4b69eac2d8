"""Workers, under the path of Ember's engine."""

from chainlang.compat.ember.transforms import (
    pmap,
)

__all__ = [
    "pmap",
]

"""A scheduler, under the path of Ember's engine."""

from chainlang.compat.ember.schedulers import (
    XCSNoOpScheduler,
)

__all__ = [
    "XCSNoOpScheduler",
]

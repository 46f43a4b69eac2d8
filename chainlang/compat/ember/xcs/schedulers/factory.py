"""Schedulers by name, under the path of Ember's engine."""

from chainlang.compat.ember.schedulers import (
    create_scheduler,
)

__all__ = [
    "create_scheduler",
]

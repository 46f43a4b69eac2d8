"""Specifications, under Ember's path."""

from chainlang.compat.ember.specification import (
    Specification,
)

__all__ = [
    "Specification",
]

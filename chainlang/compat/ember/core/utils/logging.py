"""Log of the calls of operators, under Ember's path."""

from chainlang.compat.ember.log import (
    configure_logging,
)

__all__ = [
    "configure_logging",
]

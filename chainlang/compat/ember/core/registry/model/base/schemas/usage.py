"""Usage, under Ember's path."""

from chainlang.compat.ember.model_calls import (
    UsageStats,
)
from chainlang.compat.ember.model_registry import (
    UsageSummary,
)

__all__ = [
    "UsageStats",
    "UsageSummary",
]

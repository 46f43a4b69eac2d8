"""Records of calls, under the path of Ember's engine."""

from chainlang.compat.ember.tracing import (
    TracerContext,
    TraceRecord,
    get_tracing_context,
)

__all__ = [
    "TraceRecord",
    "TracerContext",
    "get_tracing_context",
]

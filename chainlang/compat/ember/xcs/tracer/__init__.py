"""Recorded and overlapping calls, under the path of Ember's engine."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from chainlang.compat.ember.compilation import (
    JITOptions,
    explain_jit_selection,
    get_jit_stats,
    jit,
)
from chainlang.compat.ember.doors import refuse as _refuse
from chainlang.compat.ember.tracing import (
    TracerContext,
    TraceRecord,
    get_tracing_context,
)
from chainlang.compat.ember.xcs.tracer.autograph import (
    autograph,
)
from chainlang.compat.ember.xcs.tracer.structural_jit import (
    disable_structural_jit,
    structural_jit,
)

__all__ = [
    "JITOptions",
    "TraceRecord",
    "TracerContext",
    "autograph",
    "disable_structural_jit",
    "explain_jit_selection",
    "get_jit_stats",
    "get_tracing_context",
    "jit",
    "structural_jit",
]

if not _TYPE_CHECKING:  # a type checker says itself that a name is not there

    def __getattr__(name: str) -> _NoReturn:
        """Refuse a name of Ember's that has another spelling here."""
        _refuse(__name__, name)

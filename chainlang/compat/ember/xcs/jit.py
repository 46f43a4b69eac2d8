"""Overlapping calls, under the path of Ember's engine."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import NoReturn as _NoReturn

from chainlang.compat.ember.compilation import (
    JITMode,
    JITOptions,
    explain_jit_selection,
    get_jit_stats,
    jit,
)
from chainlang.compat.ember.doors import refuse as _refuse

__all__ = [
    "JITMode",
    "JITOptions",
    "explain_jit_selection",
    "get_jit_stats",
    "jit",
]

if not _TYPE_CHECKING:  # a type checker says itself that a name is not there

    def __getattr__(name: str) -> _NoReturn:
        """Refuse a name of Ember's that has another spelling here."""
        _refuse(__name__, name)

"""`JITOptions`: what `jit` may be told."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from attrs import frozen

from chainlang.compat.ember.exceptions import InvalidArgumentError

__all__ = ["JITMode", "JITOptions"]


class JITMode(StrEnum):
    """Ways of `jit`; each may be written as its text."""

    AUTO = "auto"
    TRACE = "trace"
    STRUCTURAL = "structural"
    ENHANCED = "enhanced"


@frozen(kw_only=True)
class JITOptions:
    """Options of `jit`, as one value."""

    mode: str = "auto"
    """``"auto"``: one chain of the whole `forward`, if it can be traced, else overlapping calls;
    ``"trace"``: one chain, or an error; ``"structural"``, ``"enhanced"``: overlapping calls."""
    sample_input: Mapping[str, Any] | None = None
    """Inputs that each new operator is checked with, without a call of a model."""
    recursive: bool = True
    """Whether calls inside of the called operators overlap too."""
    force_trace: bool = False
    """Whether the function is run as it is, without overlapping calls."""
    preserve_stochasticity: bool = False
    """Whether equal calls give new samples although caching is on."""
    fallback: bool = True
    """Whether calls overlap where a `forward` is not one chain; False is ``mode="trace"``."""
    cache_size: int | None = None
    """Refused: an operator keeps its chain, and nothing else is kept."""
    trace_level: str | None = None
    """Refused: `TracerContext` has the records of calls."""

    def __attrs_post_init__(self) -> None:
        refused = {"cache_size": "an operator keeps its chain", "trace_level": "use TracerContext"}
        for name, hint in refused.items():
            if getattr(self, name) is not None:
                raise InvalidArgumentError(f"jit has no option '{name}'", recovery_hint=hint)
        if self.mode not in list(JITMode):
            raise InvalidArgumentError(
                f"mode= can't be {self.mode!r}", recovery_hint=f"there are: {', '.join(JITMode)}"
            )

"""Time, call and token limits of a run, of each row and of each call."""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import Any

from attrs import fields, frozen

from chainlang.settings import RowSettings


@frozen(kw_only=True)
class RunLimits:
    """Limits of a run; None for no limit. Times are in seconds of the runtime's clock."""

    call_seconds: float | None = None
    """Deadline of a call."""
    patience: float | None = None
    """Seconds to wait for a model that is unavailable; None for no circuit breaker."""

    row_seconds: float | None = None
    """Deadline of a row, counted from its start."""
    row_calls: int | None = None
    """Maximum number of calls of a row."""
    row_tokens: int | None = None
    """Tokens of prompts and replies after which a row makes no more requests."""
    run_seconds: float | None = None
    run_calls: int | None = None
    run_tokens: int | None = None

    @property
    def has_row_budget(self) -> bool:
        """Whether the calls or tokens of a row are limited."""
        return self.row_calls is not None or self.row_tokens is not None

    @property
    def has_run_budget(self) -> bool:
        """Whether the time, calls or tokens of the run are limited."""
        return not (self.run_seconds is self.run_calls is self.run_tokens is None)

    @classmethod
    def of(cls, settings: RowSettings) -> RunLimits:
        """Return the limits that the settings contain."""
        return _with(*_given(settings))


_NAMES = tuple(one.name for one in fields(RunLimits))
_given = attrgetter(*_NAMES)


@lru_cache(maxsize=64)
def _with(*values: Any) -> RunLimits:
    return RunLimits(**dict(zip(_NAMES, values, strict=True)))

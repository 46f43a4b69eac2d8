"""Limits of time, calls, tokens and cost: of a run, of each row and of each call."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from operator import attrgetter
from typing import Any

from attrs import fields, frozen

from chainlang.settings import RowSettings


@frozen(kw_only=True, cache_hash=True)  # it is in keys that each run looks up
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
    row_cost: Decimal | None = None
    """Dollars after which a row makes no more requests."""
    run_seconds: float | None = None
    run_calls: int | None = None
    run_tokens: int | None = None
    run_cost: Decimal | None = None

    @property
    def has_row_budget(self) -> bool:
        """Whether the calls, tokens or cost of a row are limited."""
        return not (self.row_calls is self.row_tokens is None and self.row_cost is None)

    @property
    def has_run_budget(self) -> bool:
        """Whether the time, calls, tokens or cost of the run are limited."""
        limits = (self.run_seconds, self.run_calls, self.run_tokens, self.run_cost)
        return limits != (None,) * len(limits)

    @classmethod
    def of(cls, settings: RowSettings) -> RunLimits:
        """Return the limits that the settings contain."""
        return _with(*_given(settings))


_NAMES = tuple(one.name for one in fields(RunLimits))
_given = attrgetter(*_NAMES)


@lru_cache(maxsize=64)
def _with(*values: Any) -> RunLimits:
    return RunLimits(**dict(zip(_NAMES, values, strict=True)))

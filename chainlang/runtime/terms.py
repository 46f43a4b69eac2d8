"""What a run may cost and how long it waits: for all of it, for each row, for each call."""

from __future__ import annotations

from attrs import frozen

from chainlang.settings import RowSettings


@frozen(kw_only=True)
class Terms:
    """The terms of a run; None is no bound. Times are in seconds, by the clock of the runtime."""

    call_seconds: float | None = None
    """How long a call may take."""
    patience: float | None = None
    """How long a model that does not answer is waited for; None to ask it again and again."""

    @classmethod
    def of(cls, settings: RowSettings) -> Terms:
        """Return those that settings say."""
        return cls(call_seconds=settings.call_seconds, patience=settings.patience)

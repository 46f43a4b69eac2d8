"""What a run may cost and how long it waits: for all of it, for each row, for each call."""

from __future__ import annotations

from attrs import fields, frozen

from chainlang.settings import RowSettings


@frozen(kw_only=True)
class Terms:
    """The terms of a run; None is no bound. Times are in seconds, by the clock of the runtime."""

    call_seconds: float | None = None
    """How long a call may take."""
    patience: float | None = None
    """How long a model that does not answer is waited for; None to ask it again and again."""

    row_seconds: float | None = None
    """How long a row may take, from when it is begun."""
    row_calls: int | None = None
    """How many calls a row may make."""
    row_tokens: int | None = None
    """How many tokens, read and written, a row may use before it asks for more."""
    run_seconds: float | None = None
    run_calls: int | None = None
    run_tokens: int | None = None

    @classmethod
    def of(cls, settings: RowSettings) -> Terms:
        """Return those that settings say."""
        return cls(**{name: getattr(settings, name) for name in _NAMES})


_NAMES = tuple(one.name for one in fields(Terms))

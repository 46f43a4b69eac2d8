"""`StageError`: failure of a stage for one row."""

from __future__ import annotations

from chainlang.protocol.failures import Cause
from chainlang.protocol.messages import Failure, Sample
from chainlang.semantics.events import Event


class StageError(Exception):
    """Failure of a stage for one row, with its `cause`.

    `sample` is the sample whose reply is invalid, if there is one. `transient`: whether the same
    request may succeed if it is sent again. `events`: those of the row up to the failure; None if
    they are not known yet.
    """

    def __init__(
        self,
        message: str,
        cause: Cause,
        sample: Sample | None = None,
        *,
        transient: bool = False,
    ) -> None:
        self.cause = cause
        self.sample = sample
        self.transient = transient
        self.events: tuple[Event, ...] | None = None
        super().__init__(message)

    @property
    def reply(self) -> str | None:
        """Text of the invalid reply; None if there is none."""
        return self.sample.text if self.sample else None

    def saying(self, message: str) -> StageError:
        """Return the error itself, with another message."""
        self.args = (message,)
        return self

    def happened(self, *events: Event) -> None:
        """Set the events of the row up to the failure, unless they are known."""
        if self.events is None:
            self.events = events

    def since(self, before: tuple[Event, ...]) -> tuple[Event, ...]:
        """Return the events of the failed part, which began with those before it."""
        return (self.events or ())[len(before) :]

    @classmethod
    def of(cls, failure: Failure) -> StageError:
        """Return the error of a failed request."""
        return cls(failure.message, failure.kind, transient=failure.transient)


def no_candidates(stage: str) -> StageError:
    """Return the error of a stage, by its name, that reads candidates where there are none."""
    why = "nothing comes before it, or a function or an empty list left none"
    return StageError(f"{stage} needs candidates, and there are none: {why}", "input")

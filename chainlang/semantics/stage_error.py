"""`StageError`: failure of a stage for one row."""

from __future__ import annotations

from chainlang.protocol.failures import Cause
from chainlang.protocol.messages import Failure, Sample


class StageError(Exception):
    """Failure of a stage for one row, with its `cause`.

    `sample` is the sample whose reply is invalid, if there is one. `transient`: whether the same
    request may succeed if it is sent again.
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
        super().__init__(message)

    @property
    def reply(self) -> str | None:
        """Text of the invalid reply; None if there is none."""
        return self.sample.text if self.sample else None

    def saying(self, message: str) -> StageError:
        """Return the error itself, with another message."""
        self.args = (message,)
        return self

    @classmethod
    def of(cls, failure: Failure) -> StageError:
        """Return the error of a failed request."""
        return cls(failure.message, failure.kind, transient=failure.transient)

"""The failure of one stage for one row, as an exception."""

from __future__ import annotations

from chainlang.protocol.failures import Cause
from chainlang.protocol.messages import Failure, Sample


class StageError(Exception):
    """A stage failed for one row: the message and the `cause` say why.

    `sample` is the reply that did not fit, where there was one; `transient` says whether the same
    request may succeed when it is sent again.
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
        """The text of the reply that did not fit, where there was one."""
        return self.sample.text if self.sample else None

    def saying(self, message: str) -> StageError:
        """Return the error itself, with another message."""
        self.args = (message,)
        return self

    @classmethod
    def of(cls, failure: Failure) -> StageError:
        """Return the error of a request that yielded nothing."""
        return cls(failure.message, failure.kind, transient=failure.transient)

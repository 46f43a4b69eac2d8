"""What an engine is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, runtime_checkable

from chainlang.wire import Capabilities, Completion, Delta, Failure, Fingerprint, Message, Request


class Engine(Protocol):
    """Answers requests, in whatever order it likes, several at a time.

    The caller submits requests and calls `step` until each has come back, as a completion or as a
    failure, exactly once; before that, an engine that streams returns deltas of those that ask for
    it. A request that fails never touches another. One thread at a time uses an engine.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this engine can promise."""
        ...

    @property
    def fingerprint(self) -> Fingerprint:
        """What its replies depend on besides the request. The first look may take seconds."""
        ...

    def submit(self, requests: Iterable[Request]) -> None:
        """Take requests. Their ids are unique among those that have not come back."""
        ...

    def step(self) -> Sequence[Completion | Failure | Delta]:
        """Work for a moment and return what is new: often nothing, never the same twice."""
        ...

    def abort(self, ids: Iterable[str]) -> None:
        """Forget requests: they do not come back. Ids that are not known are ignored."""
        ...

    def close(self) -> None:
        """Give back what the engine holds. Closing twice does no harm."""
        ...


@runtime_checkable
class Timed(Protocol):
    """An engine with a time of its own: it passes as fast as the engine works."""

    now: float
    """Its time, in seconds."""

    def step(self, until: float | None = None) -> Sequence[Completion | Failure | Delta]:
        """Work as `Engine.step` says, or let time pass up to a moment, if nothing comes before."""
        ...


def not_text(message: Message) -> str | None:
    """Return why no model can read a message: half a surrogate pair has no bytes. None if it can.

    >>> not_text(Message("user", "a\\ud800"))
    'the user message is not text: character 2 is a lone surrogate, U+D800'
    """
    try:
        message.text.encode()
    except UnicodeEncodeError as error:
        code = ord(message.text[error.start])
        where = f"character {error.start + 1} is a lone surrogate, U+{code:04X}"
        return f"the {message.role} message is not text: {where}"
    return None

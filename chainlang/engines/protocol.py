"""What an engine is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn, Protocol, TypeGuard

from attrs import astuple, field, frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import EngineError
from chainlang.protocol.messages import (
    Capabilities,
    Completion,
    Delta,
    Failure,
    Fingerprint,
    Message,
    Reader,
    Request,
    Usage,
)


def refuse(message: str, hint: str | None = None) -> NoReturn:
    """Raise an `EngineError` that says what an engine can't do or be made with, and what to do."""
    raise EngineError([Diagnostic("engine", message, hint=hint)])


@frozen
class Metrics:
    """What an engine has done since it was made, as it counts itself; None is what it can't tell.

    Two of one engine subtract: what it did between them.

    >>> Metrics(requests=9, steps=40) - Metrics(requests=2, steps=30)
    Metrics(requests=7, usage=Usage(...), steps=10, preemptions=None, retries=None)
    """

    requests: int = 0
    """That were submitted."""
    usage: Usage = field(factory=Usage)
    """Of samples that were drawn to their end; on an engine that shows its work, the tokens of
    prompts are also those of samples that were aborted after it had begun with them."""
    steps: int | None = None
    """How often the model was run, for a batch each time."""
    preemptions: int | None = None
    """How often a sample had to give up its place, and was computed again from its beginning. That
    is in no other number."""
    retries: int | None = None
    """How often something was asked again."""

    def __add__(self, other: Metrics) -> Metrics:
        return Metrics(
            self.requests + other.requests,
            self.usage + other.usage,
            _sum(self.steps, other.steps),
            _sum(self.preemptions, other.preemptions),
            _sum(self.retries, other.retries),
        )

    def __sub__(self, other: Metrics) -> Metrics:
        return self + Metrics(
            -other.requests,
            Usage(*(-number for number in astuple(other.usage))),
            *(number and -number for number in (other.steps, other.preemptions, other.retries)),
        )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


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

    @property
    def metrics(self) -> Metrics:
        """What it has done since it was made, for whoever asked."""
        ...

    @property
    def reader(self) -> Reader | None:
        """How it reads prompts; None where only its replies tell how long they were."""
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


class Timed(Protocol):
    """An engine with a time of its own: it passes as fast as the engine works."""

    now: float
    """Its time, in seconds."""

    def step(self, until: float | None = None) -> Sequence[Completion | Failure | Delta]:
        """Work as `Engine.step` says, or let time pass up to a moment, if nothing comes before."""
        ...


@frozen
class Size:
    """The memory that an engine holds while its model is loaded, in bytes."""

    weights: int
    cache: int = 0
    """For the prompts and replies in flight."""
    besides: int = 0
    """For everything else, as far as it can be known beforehand."""

    @property
    def whole(self) -> int:
        """All of it."""
        return self.weights + self.cache + self.besides


class Loadable(Engine, Protocol):
    """An engine that holds memory while its model is loaded, and can do without for a while.

    Meanwhile nothing may be submitted, and everything but `submit` works.
    """

    @property
    def size(self) -> Size | None:
        """The memory that it holds while it is loaded; None where that is not known."""
        ...

    @property
    def loaded(self) -> bool:
        """Whether it is."""
        ...

    def load(self, progress: Callable[[str], None] | None = None) -> None:
        """Load the model, if it is not; `progress` is told of that. It may take minutes."""
        ...

    def unload(self) -> None:
        """Give the memory back, until it is loaded again."""
        ...


# These ask for one name. `isinstance` with a protocol would look at each, and with that compute it:
# a fingerprint reads all the weights.


def is_timed(engine: Engine) -> TypeGuard[Timed]:
    """Return whether an engine has a time of its own."""
    return hasattr(engine, "now")


def is_loadable(engine: Engine) -> TypeGuard[Loadable]:
    """Return whether an engine can give its memory back."""
    return hasattr(engine, "unload")


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

"""`Engine`: the interface of an inference engine, and what engines may offer beyond it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn, Protocol, TypeGuard, TypeVar

from attrs import field, frozen

from chainlang.diagnostics.diagnostic import Kind
from chainlang.errors import error_of
from chainlang.protocol.capabilities import Capabilities
from chainlang.protocol.messages import (
    Completion,
    Delta,
    Failure,
    Fingerprint,
    Message,
    Reader,
    Request,
    Usage,
)


def refuse(
    message: str, hint: str | None = None, *, setting: str | None = None, model: str | None = None
) -> NoReturn:
    """Raise an `EngineError` with a message and a hint.

    `setting` or `model` is what the error is about, so that it is shown where that is written.
    """
    kind: Kind | None = None if model is None else "model"
    raise error_of("engine", message, hint, kind=kind, subject=model, setting=setting)


N = TypeVar("N", int, float)


@frozen
class Metrics:
    """Counters of an engine since its creation; None for what the engine can't count.

    The difference of two snapshots is the work between them.

    >>> Metrics(requests=9, steps=40) - Metrics(requests=2, steps=30)
    Metrics(requests=7, usage=Usage(...), steps=10, preemptions=None, retries=None, waited=None)
    """

    requests: int = 0
    """Requests submitted."""
    usage: Usage = field(factory=Usage)
    """Usage of finished samples. Engines that see their scheduler also count the prompt tokens of
    samples that were aborted after they began."""
    steps: int | None = None
    """Runs of the model, each for one batch."""
    preemptions: int | None = None
    """Samples that were evicted from the batch and computed again from their beginning; no other
    counter includes that work."""
    retries: int | None = None
    """Requests sent again after a failure."""
    waited: float | None = None
    """Seconds for which rate limits, and waits that a server asked for, held requests back; each
    request counts its own."""

    def __add__(self, other: Metrics) -> Metrics:
        return Metrics(
            self.requests + other.requests,
            self.usage + other.usage,
            _sum(self.steps, other.steps),
            _sum(self.preemptions, other.preemptions),
            _sum(self.retries, other.retries),
            _sum(self.waited, other.waited),
        )

    def __sub__(self, other: Metrics) -> Metrics:
        return self + Metrics(
            -other.requests,
            Usage(
                *(-getattr(other.usage, name) for name in _COUNTS),
                uncounted_tokens=-other.usage.uncounted_tokens,
            ),
            other.steps and -other.steps,
            other.preemptions and -other.preemptions,
            other.retries and -other.retries,
            other.waited and -other.waited,
        )


_COUNTS = ("calls", "prompt_tokens", "cached_tokens", "output_tokens")


def _sum(one: N | None, other: N | None) -> N | None:
    return None if one is None or other is None else one + other


class Engine(Protocol):
    """Answers requests concurrently, in any order.

    The caller submits requests and calls `step` until each has come back exactly once, as a
    completion or as a failure; before that, engines that stream return deltas of the requests that
    ask for them. A failing request never affects another. One thread at a time uses an engine.
    """

    @property
    def capabilities(self) -> Capabilities:
        """Guarantees of this engine."""
        ...

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that completions depend on besides the request. May take seconds at first."""
        ...

    @property
    def metrics(self) -> Metrics:
        """Counters since the engine was created, over all its callers."""
        ...

    @property
    def reader(self) -> Reader | None:
        """Tokenizer of its prompts; None if the length of a prompt is known from replies only."""
        ...

    def submit(self, requests: Iterable[Request]) -> None:
        """Enqueue requests. Their ids are unique among those in flight."""
        ...

    def step(self) -> Sequence[Completion | Failure | Delta]:
        """Work for a moment and return new results, if any. Each result is returned once."""
        ...

    def abort(self, ids: Iterable[str]) -> None:
        """Drop requests, which then never come back. Unknown ids are ignored."""
        ...

    def close(self) -> None:
        """Release all resources. Closing twice does no harm."""
        ...


class Timed(Protocol):
    """An engine with a virtual clock, which advances as the engine works."""

    now: float
    """Virtual time, in seconds."""

    def step(self, until: float | None = None) -> Sequence[Completion | Failure | Delta]:
        """Work as `Engine.step` does; if nothing finishes before `until`, advance to it."""
        ...


@frozen
class Size:
    """Memory that an engine holds while its model is loaded, in bytes."""

    weights: int
    cache: int = 0
    """Key-value cache, for prompts and replies in flight."""
    other: int = 0
    """Everything else that is known beforehand."""

    @property
    def total(self) -> int:
        """Sum of all parts."""
        return self.weights + self.cache + self.other


class Loadable(Engine, Protocol):
    """An engine that can unload its model to free memory, and load it again.

    While it is unloaded everything works but `submit`.
    """

    @property
    def size(self) -> Size | None:
        """Memory that it holds while loaded; None if unknown."""
        ...

    @property
    def loaded(self) -> bool:
        """Whether the model is loaded."""
        ...

    def load(self, progress: Callable[[str], None] | None = None) -> None:
        """Load the model unless it is loaded; may take minutes.

        `progress` is called with messages about the loading.
        """
        ...

    def unload(self) -> None:
        """Free the memory, until the model is loaded again."""
        ...


class Adapting(Engine, Protocol):
    """An engine that declares `adapters`."""

    def has_room_for(self, adapters: Iterable[str]) -> bool:
        """Return whether it is loaded with these adapters, or not loaded yet."""
        ...

    def adopt(self, adapter: str, most: int | None = None) -> None:
        """Make room for an adapter, whose rank may be `most`, before the model is loaded.

        Doing it again does no harm. Raises `EngineError` if it does not fit the model, or if the
        model is loaded without it.
        """
        ...

    def fingerprint_with(self, adapter: str) -> Fingerprint:
        """Return the fingerprint of the model with an adapter, whatever others there are."""
        ...


# These look for one attribute. `isinstance` with a protocol would evaluate every property, and a
# fingerprint reads all the weights.


def is_timed(engine: Engine) -> TypeGuard[Timed]:
    """Return whether an engine has a virtual clock."""
    return hasattr(engine, "now")


def is_serial(engine: Engine) -> bool:
    """Return whether the steps of an engine take the longer the more samples are in its batch."""
    return bool(getattr(engine, "serial", False))


def is_loadable(engine: Engine) -> TypeGuard[Loadable]:
    """Return whether an engine can unload its model."""
    return hasattr(engine, "unload")


def is_adapting(engine: Engine) -> TypeGuard[Adapting]:
    """Return whether the requests of an engine may have adapters."""
    return hasattr(engine, "adopt")


def fingerprint_of(engine: Engine, adapter: str = "") -> Fingerprint:
    """Return the fingerprint of an engine for requests with an adapter, or without."""
    if adapter and is_adapting(engine):
        return engine.fingerprint_with(adapter)
    return engine.fingerprint


def encoding_error(message: Message) -> str | None:
    """Return why the text of a message can't be encoded as UTF-8; None if it can.

    >>> encoding_error(Message("user", "a\\ud800"))
    'the user message is not text: character 2 is a lone surrogate, U+D800'
    """
    try:
        message.text.encode()
    except UnicodeEncodeError as error:
        code = ord(message.text[error.start])
        where = f"character {error.start + 1} is a lone surrogate, U+{code:04X}"
        return f"the {message.role} message is not text: {where}"
    return None


def refuse_fork(what: str, process: int) -> NoReturn:
    """Raise `EngineError`, since a fork lacks the threads of its parent."""
    hint = (
        'start workers that inherit nothing: multiprocessing.get_context("spawn"); '
        "or run the first chain in each worker, and none before"
    )
    refuse(f"{what} by process {process}, of which this is a fork", hint)

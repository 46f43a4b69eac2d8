"""What passes between chains and engines: requests one way, completions and failures the other.

An engine sees these and nothing of chains; a chain sees these and nothing of engines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from attrs import Factory, field, frozen

from chainlang.protocol.failures import FAULTS, FailureKind

Finish = Literal["stop", "length"]
"""Why a sample ended: the model ended it (or a stop string did), or `max_tokens` cut it."""


@frozen
class Message:
    """One message of a prompt. Its text is data: special tokens in it are not read as such."""

    role: Literal["system", "user", "assistant"]
    text: str


@frozen(kw_only=True, cache_hash=True)
class Sampling:
    """How a model draws. Units and bounds are those of the notation's options."""

    temperature: float
    max_tokens: int
    min_tokens: int = 0
    top_p: float = 1.0
    top_k: int = 0
    """0 for all tokens."""
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()


@frozen(kw_only=True)
class Request:
    """One prompt, to be sampled `count` times: sample *i* has the seed ``seed + i``.

    At temperature 0 the seed plays no part, and the samples are equal: one is drawn for all.
    """

    id: str
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int
    count: int = 1
    schema: str | None = None
    """A JSON schema, as text, that the reply has to satisfy; None for free text."""
    lenient: bool = False
    """Whether a schema is kept as far as the engine can, and not refused where it can't; the
    samples say what of it was left out, and whoever asks has to look at that."""
    logprobs: bool = False
    """Whether samples tell how likely their tokens were. It changes nothing about the tokens."""
    priority: int = 0
    """Lower runs first, on an engine that has priorities."""
    shared: bool = False
    """Whether the reply to an equal request will do, which is asked by somebody else: nothing but a
    request at temperature 0 has an equal."""
    stream: bool = False
    """Whether to tell of the reply as it comes. It changes nothing about the reply."""
    choices: tuple[str, ...] = ()
    """Where not empty, the only replies that the schema allows, blanks aside. An engine may then
    end a sample as soon as one of them is left, and say the rest of it for the model; but only one
    that would have been said in full. Its tokens are those that were drawn."""
    redraw: int = 0
    """How often it was drawn for its row in earlier runs whose replies did not fit; what was
    remembered of those is passed over. It changes nothing about the reply."""
    tracing: object = field(default=None, eq=False, repr=False)
    """What asks, for whoever traces calls."""
    deadline: float | None = None
    """Seconds after which nobody waits for the reply any more."""
    patience: float | None = None
    """Seconds to wait for a model that does not answer anybody; None where nobody looks at that."""

    @property
    def drawn(self) -> int:
        """How many samples an engine draws for it: `count`, or one where all would be equal."""
        return self.count if self.sampling.temperature > 0 else 1

    @property
    def question(self) -> tuple[object, ...]:
        """What it asks, and how: the reply depends on no more, but for its seeds where it has any.

        At temperature 0, requests with equal questions have equal replies.
        """
        asked = (self.model, self.messages, self.sampling, self.schema, self.lenient)
        return (*asked, self.choices, self.logprobs, self.redraw, self.deadline, self.patience)


@frozen
class Sample:
    """One reply: its text, why it ended, and its length in tokens."""

    text: str
    finish: Finish
    tokens: int
    """Where the engine shows no tokens, this may be a share of what the whole request drew."""
    token_ids: tuple[int, ...] = ()
    """The tokens themselves, on an engine that shows them."""
    unkept: tuple[str, ...] = ()
    """What of the schema the engine did not hold the reply to, in words, where it was lenient."""
    reasoning: str = ""
    """What the model thought before it said its text, on an engine that returns that apart."""
    logprobs: tuple[float, ...] = ()
    """The natural logarithm of the probability that the model gave each token, before temperature
    and penalties, where that was asked for."""


@frozen
class Usage:
    """What a request, a row or a run cost, in calls and tokens. Usages add up.

    It is the same whether samples are asked for together or one by one: each is a call, and each
    has read the prompt. What an engine did not have to read again is in `cached_tokens`.

    >>> Usage(1, 10, 0, 5) + Usage(1, 10, 8, 7)
    Usage(calls=2, prompt_tokens=20, cached_tokens=8, output_tokens=12)
    """

    calls: int = 0
    """Samples that were drawn; for a request at temperature 0 that is one, whatever its count."""
    prompt_tokens: int = 0
    """The length of the prompt, once for each call."""
    cached_tokens: int = 0
    """Prompt tokens that the engine had computed before, for this request or for another; part of
    `prompt_tokens`."""
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
        )

    @classmethod
    def total(cls, usages: Iterable[Usage]) -> Usage:
        """Return the sum of usages."""
        calls = prompts = cached = outputs = 0
        for one in usages:
            calls += one.calls
            prompts += one.prompt_tokens
            cached += one.cached_tokens
            outputs += one.output_tokens
        return cls(calls, prompts, cached, outputs)


@frozen
class Delta:
    """More of a reply that is still being drawn: the text that was added to one sample."""

    id: str
    sample: int
    text: str


@frozen
class Completion:
    """All samples of one request, in the order of their seeds."""

    id: str
    samples: tuple[Sample, ...]
    usage: Usage


@frozen
class Failure:
    """A request that yielded nothing, and why. Other requests are not touched by it."""

    id: str
    kind: FailureKind
    message: str
    transient: bool = field(default=Factory(lambda it: FAULTS[it.kind].passes, takes_self=True))
    """Whether the same request may succeed when it is sent again; what `FAULTS` says of its kind,
    where the engine does not know better."""


Fingerprint: TypeAlias = Mapping[str, str | int | None]
"""What the replies of an engine depend on besides the request, by name: its kind and version, the
model, and what computes it. None is what can't be known; there, equal fingerprints promise nothing.
"""


class Reader(Protocol):
    """Reads prompts as a model does, without running it: what is known of them before a run."""

    @property
    def block(self) -> int | None:
        """Tokens that its engine keeps together of what it has computed; None where it does not."""
        ...

    @property
    def context(self) -> int | None:
        """The most tokens of prompt and reply together; None where that is not known."""
        ...

    def token_ids(self, messages: Iterable[Message], schema: str | None = None) -> Sequence[int]:
        """Return the tokens of a prompt whose reply has a schema; None is free text.

        Raises `ValueError` where there are none, and says why.
        """
        ...


@frozen(kw_only=True)
class Capabilities:
    """What an engine can promise. What a chain needs and an engine lacks is refused or reported."""

    name: str
    schemas: bool
    """Replies keep their JSON schema, and a schema that can't be kept is refused. Else a schema is
    passed on, and each stage looks whether the reply fits."""
    seeds: bool
    """A sample is a function of the request and its seed."""
    batch_invariant: bool
    """...whatever else is in the batch: the same tokens on every run."""
    plain_values: bool
    """Special tokens in messages are read as text."""
    token_ids: bool = False
    """Samples have their tokens, and so their own length."""
    priorities: bool = False
    logprobs: bool = False
    """Samples tell how likely their tokens were, where that is asked for."""
    streams: bool = False
    """Replies are told of as they come, where that is asked for."""
    decides: bool = False
    """A sample ends once one of the choices of its request is left."""
    deadlines: bool = False
    """The deadline of a request is kept, from when it is sent. Else the runtime keeps it, from when
    it is submitted."""

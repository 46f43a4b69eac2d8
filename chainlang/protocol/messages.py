"""Messages between chains and engines: requests one way; completions, failures, deltas the other.

Engines and chains know these types and nothing of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeAlias

from attrs import Factory, field, fields, frozen

from chainlang.protocol.failures import FAILURE_MODES, FailureKind
from chainlang.protocol.price import Price
from chainlang.protocol.quick_init import quick_init
from chainlang.protocol.usage import Usage as Usage  # noqa: PLC0414  # as all messages are

Finish = Literal["stop", "length", "budget"]
"""Finish reason of a sample: `stop` at the model's end token or a stop string, `length` if it was
cut by `max_tokens` or by the context, `budget` at the budget of a part of it
(`Request.thinking_tokens`, `Request.budgets`): another request continues it, and no chain meets
it."""
TextKind = Literal["reasoning", "text"]
"""Kind of a streamed text: the model's reasoning before its reply, or the reply."""


Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@frozen
class ToolCall:
    """The call of a tool in a reply: its id in the prompt, the name, and the arguments as JSON."""

    id: str
    name: str
    arguments: str


@frozen
class ToolSpec:
    """A tool as a model reads it: its name, its description, the JSON schema of its arguments."""

    name: str
    description: str
    parameters: str


@quick_init
@frozen(weakref_slot=False)
class Message:
    """One message of a prompt. Its text is data: special tokens in it are sent as plain text."""

    role: Role
    text: str
    images: tuple[str, ...] = ()
    """URLs and data URIs of images after the text, for engines with `Capabilities.images`."""
    calls: tuple[ToolCall, ...] = field(default=(), repr=False)
    """Calls of tools, of a reply that has some."""
    call_id: str = field(default="", repr=False)
    """Id of the call whose result is the text, of a message of the role `tool`."""


@frozen(kw_only=True, cache_hash=True)
class Sampling:
    """Sampling parameters, with the units and bounds of the options in the notation."""

    temperature: float
    max_tokens: int
    min_tokens: int = 0
    top_p: float = 1.0
    top_k: int = 0
    """0 means no limit."""
    min_p: float = 0.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    stop: tuple[str, ...] = ()
    logit_bias: tuple[tuple[str, float], ...] = ()
    """Numbers added to the logits of tokens; a token is its text, or its id as ``#15``."""
    bad_words: tuple[str, ...] = ()
    """Texts that are not generated."""
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    """Whether to continue after the model's end token."""
    include_stop: bool = False
    """Whether the stop string that ends a sample is part of its text."""
    extra: str = ""
    """More fields of the body of a request to a server, as a JSON object; empty for none."""


FIRST_PARAMETERS = (
    *("temperature", "max_tokens", "min_tokens", "top_p", "top_k", "min_p"),
    *("presence_penalty", "frequency_penalty", "repetition_penalty", "stop"),
)
"""The parameters in each key of a sample; others are in a key only where they are set."""


@lru_cache(maxsize=1024)
def later(sampling: Sampling) -> tuple[tuple[str, Any], ...]:
    """Return those parameters that are set among the ones that earlier formats of keys lack.

    >>> later(Sampling(temperature=0, max_tokens=8, bad_words=("x",)))
    (('bad_words', ('x',)),)
    """
    return tuple(
        (one.name, value)
        for one in fields(Sampling)
        if one.name not in FIRST_PARAMETERS
        and (value := getattr(sampling, one.name)) != one.default
    )


@frozen
class Fallback:
    """A model that answers where the one before it can't."""

    model: str
    adapter: str = ""
    price: Price | None = field(default=None, eq=False, repr=False)


@frozen(kw_only=True, slots=False)  # see `changed`
class Request:
    """One prompt to sample `count` times; sample *i* uses the seed ``seed + i``.

    At temperature 0 seeds have no effect: the model is sampled once and the sample is repeated.
    """

    id: str
    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    seed: int
    count: int = 1
    first: int = 0
    """Number of its first sample among those of its stage, which may be several requests."""
    schema: str | None = None
    """JSON schema of the reply, as text; None for free text."""
    lenient: bool = False
    """Enforce what the engine supports of the schema and report the rest in `Sample.unkept`,
    instead of failing."""
    logprobs: bool = False
    """Whether to return the log probability of each token. The tokens stay the same."""
    template_args: str = ""
    """Arguments of the chat template besides those of the model, as JSON; "" for none."""
    adapter: str = ""
    """LoRA adapter of the model, by its folder or its name on the hub, on engines that declare
    `adapters`; "" for none."""
    thinking_tokens: int | None = None
    """Tokens after which reasoning that has not ended is ended, on engines that declare
    `continues`: the sample has the finish reason `budget`."""
    prefix: str = ""
    """Beginning of the text of each sample, which is not generated and counts towards `max_tokens`,
    on engines that declare `prefixes`."""
    budgets: tuple[tuple[str, int], ...] = ()
    """Fields of a typed reply that are free texts, each with the tokens after which it is closed,
    in the order of the reply, on engines that declare `closes`: the sample has the finish reason
    `budget`, unless it is the last field. Other engines bound its characters, as far as they can.
    """
    begin: Beginning | None = None
    """Beginning of the reply. The engine ends the part whose budget is used up, and generates the
    rest; the sample is the whole reply."""
    top_logprobs: int = 0
    """Number of likeliest tokens to return at each position, beside the sampled one."""
    labels: tuple[str, ...] = ()
    """Replies whose probabilities to return, as JSON; empty for none."""
    priority: int = 0
    """Lower values run first, on engines with priorities."""
    shared: bool = False
    """Whether the completion of an identical temperature-0 request may answer this one too."""
    stream: bool = False
    """Whether to report text as it is generated. The completion stays the same."""
    choices: tuple[str, ...] = ()
    """All replies that the schema allows, as JSON without blanks; empty if there are too many.
    An engine may stop a sample once its beginning allows a single choice, and append the rest of
    it, provided that `max_tokens` leaves room for the rest. `Sample.tokens` then counts generated
    tokens only."""
    tools: tuple[ToolSpec, ...] = ()
    """Tools that the model may call, on engines that declare `tools`: a sample has either text or
    `calls`."""
    effects: bool = False
    """Whether it may have effects outside, as the call of a tool: only the journal of its own run
    answers it."""
    run: str = field(default="", eq=False, repr=False)
    """Mark of the run that it is of, the same if that is resumed, for calls with effects."""
    redraw: int = 0
    """Number of earlier runs that sampled this request for its row and failed. Recorded samples of
    those runs are not used. The completion does not depend on it otherwise."""
    tracing: object = field(default=None, eq=False, repr=False)
    """Parent span of the request, for tracing."""
    price: Price | None = field(default=None, eq=False, repr=False)
    """Price of the model; None if it is unknown."""
    row: int = field(default=0, eq=False, repr=False)
    """Position of its row, which pays for it."""
    step: str = field(default="", eq=False, repr=False)
    """Label of its part, or name of its stage, for what is said of a run."""
    date: str | None = None
    """Date of the run, as ``2026-11-30``, for prompts whose chat template reads it; None for
    today's."""
    deadline: float | None = None
    """Seconds after which the reply is of no use any more; None for no deadline."""
    patience: float | None = None
    """Seconds to wait for an unavailable model, from when its circuit breaker opened; None for no
    circuit breaker."""
    fallbacks: tuple[Fallback, ...] = ()
    """Models that answer where its own can't."""
    has_others: bool = field(default=False, eq=False)
    """Whether another model may answer if this one can't, so that it waits for no busy server."""

    @property
    def drawn(self) -> int:
        """Number of samples to generate: `count`, or 1 at temperature 0."""
        return self.count if self.sampling.temperature > 0 else 1

    @property
    def calls(self) -> int:
        """Number of samples that count as calls: none of a request that continues one."""
        return self.drawn if self.begin is None else 0

    @property
    def question(self) -> tuple[object, ...]:
        """Everything that the completion depends on, apart from seed and count.

        At temperature 0, requests with equal values have equal samples.
        """
        asked = (self.model, self.messages, self.sampling, self.schema, self.lenient)
        rest = (self.effects, self.redraw, self.date, self.deadline, self.patience, self.fallbacks)
        parts = (self.thinking_tokens, self.budgets, self.begin)
        more = (self.logprobs, self.top_logprobs, self.labels, self.tools, *parts)
        return (*asked, self.choices, *more, self.template_args, self.prefix, self.adapter, *rest)


TopLogprobs: TypeAlias = tuple[tuple[str, float], ...]
"""Texts of tokens with the logarithm of their probability: first the sampled token, then the
likeliest ones, the most likely first."""


def changed(request: Request, **fields: Any) -> Request:
    """Return a request with other fields: as `attrs.evolve`, which takes ten times as long.

    Names are not checked.

    >>> from attrs import evolve
    >>> sampling = Sampling(temperature=0.7, max_tokens=8)
    >>> one = Request(id="1", model="m", messages=(), sampling=sampling, seed=1)
    >>> changed(one, id="2") == evolve(one, id="2") != one
    True
    """
    made = object.__new__(Request)
    object.__setattr__(made, "__dict__", {**request.__dict__, **fields})
    return made


@quick_init
@frozen(weakref_slot=False)
class Sample:
    """One sample of a completion: text, finish reason and length in tokens."""

    text: str
    finish: Finish
    tokens: int
    """Number of generated tokens. An engine without `Capabilities.token_ids` may estimate it as a
    share of the tokens of the whole completion."""
    token_ids: tuple[int, ...] = ()
    """Generated tokens, on engines with `Capabilities.token_ids`."""
    unkept: tuple[str, ...] = ()
    """Parts of the schema that the engine did not enforce, for a lenient request."""
    reasoning: str = ""
    """Reasoning before the text, on engines that return it separately."""
    logprobs: tuple[float, ...] = ()
    """Natural logarithm of the probability of each token, before temperature and penalties; empty
    unless the request has `logprobs`."""
    needs: int | None = None
    """Number of tokens that suffice as `max_tokens` for this very sample, if it ended by itself;
    None if the engine knows only that those of the request did."""
    refusal: str = ""
    """Reason why there is no reply: a content filter, a refusal of the model. Such a sample has
    failed, cause `refused`, and is not recorded. Empty if there is a reply."""
    stop: str | int | None = None
    """Stop string, or id of the stop token, that ended the sample; None if another token ended it,
    or if the engine does not say."""
    top_logprobs: tuple[TopLogprobs, ...] = ()
    """Likeliest tokens at each position; empty unless the request has `top_logprobs`."""
    labels: tuple[float, ...] = ()
    """Probability of each of the request's `labels`; their sum is 1."""
    context: int | None = None
    """Size in tokens of the context that cut the sample, 0 if it is unknown; None if `max_tokens`
    cut it, or nothing did."""
    closed: bool = False
    """Whether its reasoning was ended at `Request.thinking_tokens`. The tag that ends it counts
    among the tokens, and its log probability is 0."""
    closed_fields: tuple[str, ...] = ()
    """Fields that were closed at their budget in `Request.budgets`, in order. What is between one
    and the value of the next is not generated, and not among the tokens."""
    spelled: tuple[int, ...] = ()
    """Of a sample that a budget has stopped within a field, on engines with
    `Capabilities.token_ids`: all tokens after the prompt, with those that were not generated."""
    model: str = ""
    """Model of `Request.fallbacks` that answered; empty for the request's own."""
    switched: str = ""
    """Failures of the models that were asked before it; empty for the request's own."""
    calls: tuple[tuple[str, str], ...] = ()
    """Calls of tools: of each its name and the arguments, as the model wrote them."""
    moved: str = field(default="", eq=False)
    """The addresses of its model that failed before another one answered, and why; empty if none
    did. The sample does not depend on it."""


@frozen
class Beginning:
    """A sample that a budget has stopped, as the beginning of a reply."""

    sample: Sample
    number: int
    """Number of the sample in its request."""


@frozen
class Delta:
    """Text added to one sample of a request that is still being generated."""

    id: str
    sample: int
    text: str
    kind: TextKind = "text"


@quick_init
@frozen(weakref_slot=False)
class Completion:
    """All samples of one request, in the order of their seeds."""

    id: str
    samples: tuple[Sample, ...]
    usage: Usage
    others: tuple[tuple[str, Usage], ...] = ()
    """Parts of the usage that are of other models, each with its name."""


@frozen
class Failure:
    """A request without a completion, and the reason. Other requests are not affected."""

    id: str
    kind: FailureKind
    message: str
    transient: bool = field(
        default=Factory(lambda failure: FAILURE_MODES[failure.kind].transient, takes_self=True)
    )
    """Whether the same request may succeed if it is sent again; default: that of its kind in
    `FAILURE_MODES`."""
    samples: tuple[tuple[int, Sample], ...] = ()
    """Samples of the request that are there, with their numbers; another model may be asked for the
    others."""
    usage: Usage = field(factory=Usage)
    """Usage of these samples."""


Fingerprint: TypeAlias = Mapping[str, str | int | None]
"""Everything that an engine's completions depend on besides the request, by name: kind and version
of the engine, the model's files, the device. None means unknown; then equal fingerprints do not
imply equal completions.
"""


class Reader(Protocol):
    """Tokenizer of a model's prompts, usable without loading the model."""

    @property
    def block(self) -> int | None:
        """Tokens in a block of the engine's prefix cache; None without a prefix cache."""
        ...

    @property
    def context(self) -> int | None:
        """Maximum number of tokens of prompt and reply together; None if unknown."""
        ...

    def token_ids(
        self, messages: Iterable[Message], schema: str | None = None, template_args: str = ""
    ) -> Sequence[int]:
        """Return the tokens of a prompt, for a reply with a schema or (None) for free text.

        `template_args` are those of the request. Raises `ValueError` with the reason if the
        messages can't be tokenized.
        """
        ...

    def token_id(self, text: str) -> int:
        """Return the id of a text that is one token. Raises `ValueError` if it is not."""
        ...

    def refusal(self, roles: tuple[Role, ...], template_args: str = "") -> str | None:
        """Return why the model can't have prompts with messages of these roles; None if it can."""
        ...

"""Models called by themselves: `model`, `complete`, `configure`, `Response`, `ModelAPI`.

A name is looked up as any model of a chain: ``gpt-4o``, ``openai:gpt-4o``, a name that
`chainlang.models` defines, or one that a `ModelRegistry` has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from enum import Enum
from typing import Any, Self

from attrs import field, frozen

from chainlang.api.stage_types import E
from chainlang.compat.ember.calls import run_chain
from chainlang.compat.ember.exceptions import InvalidArgumentError
from chainlang.session.result import Result

__all__ = [
    "ModelAPI",
    "ModelBinding",
    "ModelBuilder",
    "Provider",
    "Response",
    "UsageStats",
    "complete",
    "configure",
    "model",
    "model_id",
]

_PREFIXES = {"deepmind": "gemini", "google": "gemini"}
"""Providers that have another prefix in chains."""
_DEFAULTS = {"temperature": 0.7}


@frozen
class UsageStats:
    """Usage of a call, or of several: tokens, and the cost in dollars, None if it is unknown."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal | None = None

    @property
    def total_tokens(self) -> int:
        """Tokens of prompts and replies."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def cost(self) -> Decimal | None:
        """The cost in dollars."""
        return self.cost_usd

    def __add__(self, other: UsageStats) -> UsageStats:
        costs = (self.cost_usd, other.cost_usd)
        known = None if None in costs else sum(one for one in costs if one is not None)
        return UsageStats(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            None if known is None else Decimal(known),
        )


@frozen(repr=False)
class Response:
    """A reply: `str` is its text; `usage` and `model_id` are those of the call."""

    text: str
    model_id: str
    usage: UsageStats = field(factory=UsageStats)
    result: Result | None = None
    """The result of the chain."""

    @property
    def data(self) -> str:
        """The text."""
        return self.text

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Response({self.text!r}, model_id={self.model_id!r})"

    def visualize(self) -> Any:
        """Return what a notebook shows: the page of the result."""
        return self.result


def model_id(name: str | Enum) -> str:
    """Return the name of a model in chains.

    >>> model_id("deepmind:gemini-1.5-pro")
    'gemini:gemini-1.5-pro'
    """
    text = str(name.value if isinstance(name, Enum) else name)
    provider, colon, rest = text.partition(":")
    return f"{_PREFIXES.get(provider, provider)}{colon}{rest}" if colon else text


_CONFIGURED: ContextVar[dict[str, Any] | None] = ContextVar("configured", default=None)


@contextmanager
def configure(**options: Any) -> Iterator[None]:
    """Set sampling options of calls in the block; inner blocks add to those of outer ones."""
    token = _CONFIGURED.set({**(_CONFIGURED.get() or {}), **options})
    try:
        yield
    finally:
        _CONFIGURED.reset(token)


class ModelBinding:
    """A model with options: called with a prompt, it returns a `Response`.

    Options of the call are before those of the binding, these before those of a `configure` block,
    and these before the defaults, a temperature of 0.7.
    """

    model_info: Any = None
    """Description of the model in a registry."""

    def __init__(self, name: str | Enum, **options: Any) -> None:
        self.model_id = model_id(name)
        self.options = options

    def __call__(self, prompt: str | None = None, **options: Any) -> Response:
        """Return the reply to a prompt; options are those of a stage, and settings of a call."""
        from chainlang.settings import CallSettings

        if not isinstance(prompt, str):
            raise InvalidArgumentError(
                f"a prompt is a text, not {prompt!r}", recovery_hint='write model("...")("prompt")'
            )
        chosen = {**_DEFAULTS, **(_CONFIGURED.get() or {}), **self.options, **options}
        if "timeout" in chosen:
            chosen["call_seconds"] = chosen.pop("timeout")
        names = CallSettings.names() - {"model"}
        settings = {key: one for key, one in chosen.items() if key in names}
        sampling = {key: one for key, one in chosen.items() if key not in names}
        chain = E(self.model_id, 1, sampling.pop("temperature"), **sampling)
        result = run_chain(chain, {"query": prompt}, settings)
        used = result.usage
        usage = UsageStats(used.prompt_tokens, used.output_tokens, result.cost)
        return Response(str(result.answer), self.model_id, usage, result)

    def generate(self, *, prompt: str, **options: Any) -> Response:
        """Return the reply to a prompt."""
        return self(prompt, **options)

    def __repr__(self) -> str:
        return f"model({self.model_id!r})"


def model(name: str | Enum, **options: Any) -> ModelBinding:
    """Return a model with options, to be called with prompts.

    >>> from chainlang.compat import ember
    >>> from chainlang.engines.fake import FakeEngine
    >>> with ember.use(engine=FakeEngine(answers={"17": "42"})):
    ...     reply = model("gpt-4o", temperature=0)("What is 17 + 25?")
    >>> str(reply), reply.model_id, reply.usage.completion_tokens
    ('42', 'gpt-4o', 1)
    """
    return ModelBinding(name, **options)


def complete(prompt: str, *, model: str | Enum, **options: Any) -> Response:
    """Return the reply of a model to a prompt."""
    return ModelBinding(model, **options)(prompt)


class ModelAPI(ModelBinding):
    """A model by its id or a `ModelEnum`: ``ModelAPI("openai:gpt-4o").generate(prompt="...")``."""

    def __init__(
        self,
        model_id: str | Enum | None = None,
        *,
        id: str | Enum | None = None,  # noqa: A002  # Ember's name
        **options: Any,
    ) -> None:
        name = model_id if model_id is not None else id
        if name is None:
            raise InvalidArgumentError("ModelAPI without a model", recovery_hint="ModelAPI(id)")
        super().__init__(name, **options)

    @classmethod
    def from_enum(cls, member: Enum) -> Self:
        """Return the model of a member of `ModelEnum`."""
        return cls(member)


class ModelBuilder:
    """Options of a model, set one after another; `build` makes it.

    >>> ModelBuilder().temperature(0.2).max_tokens(64).build("openai:gpt-4o").options
    {'temperature': 0.2, 'max_tokens': 64}
    """

    def __init__(self) -> None:
        self._options: dict[str, Any] = {}

    def _with(self, **option: Any) -> Self:
        self._options |= option
        return self

    def temperature(self, value: float) -> Self:
        """Set the temperature."""
        return self._with(temperature=value)

    def max_tokens(self, value: int) -> Self:
        """Set the maximum number of tokens of a reply."""
        return self._with(max_tokens=value)

    def top_p(self, value: float) -> Self:
        """Set the share of probability from which tokens are sampled."""
        return self._with(top_p=value)

    def timeout(self, seconds: float) -> Self:
        """Set the time of a call in seconds."""
        return self._with(timeout=seconds)

    def build(self, model_id: str | Enum) -> ModelAPI:
        """Return the model with these options."""
        return ModelAPI(model_id, **self._options)


class Provider:
    """The models of a provider as attributes, with ``_`` for ``-``: ``openai.gpt_4o("prompt")``.

    Between digits it is a point, as in ``gemini-1.5-pro``, but not in Anthropic's names.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> ModelBinding:
        if name.startswith("__"):
            raise AttributeError(name)
        name = name.replace("gpt4", "gpt_4")
        if self._name != "anthropic":
            name = re.sub(r"(\d)_(\d)", r"\1.\2", name)
        return ModelBinding(f"{self._name}:{name.replace('_', '-')}")

"""`ModelRegistry`, `ModelService`, `UsageService`: models of a program, and their usage."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

from attrs import field, frozen

from chainlang import models
from chainlang.compat.ember.exceptions import EmberError, InvalidArgumentError
from chainlang.compat.ember.model_calls import ModelBinding, Response, UsageStats, model_id
from chainlang.diagnostics.suggest import misspelt
from chainlang.engines.hosts import host_named
from chainlang.models.declaration import Declaration, trusted
from chainlang.models.providers import address_of, key_variable

__all__ = [
    "ModelCost",
    "ModelEnum",
    "ModelInfo",
    "ModelNotFoundError",
    "ModelRegistry",
    "ModelService",
    "ProviderInfo",
    "RateLimit",
    "UsageService",
    "UsageSummary",
    "get_model_service",
    "get_registry",
    "initialize_registry",
]


class ModelNotFoundError(EmberError, KeyError):
    """A model that a registry does not have."""

    DEFAULT_ERROR_CODE = 3002


class ModelEnum(Enum):
    """Names of models; any other name is written as text."""

    gpt_4o = "openai:gpt-4o"
    gpt4o = "openai:gpt-4o"  # noqa: PIE796  # Ember has both spellings
    gpt_4o_mini = "openai:gpt-4o-mini"
    gpt4o_mini = "openai:gpt-4o-mini"  # noqa: PIE796
    gpt_4 = "openai:gpt-4"
    gpt4 = "openai:gpt-4"  # noqa: PIE796
    gpt_4_turbo = "openai:gpt-4-turbo"
    gpt_3_5_turbo = "openai:gpt-3.5-turbo"
    claude_3_7_sonnet = "anthropic:claude-3.7-sonnet"
    claude_3_5_sonnet = "anthropic:claude-3-5-sonnet"
    claude_3_5_haiku = "anthropic:claude-3-5-haiku"
    claude_3_opus = "anthropic:claude-3-opus"
    claude_3_haiku = "anthropic:claude-3-haiku"
    gemini_1_5_pro = "deepmind:gemini-1.5-pro"
    gemini_1_5_flash = "deepmind:gemini-1.5-flash"
    gemini_2_0_flash = "deepmind:gemini-2.0-flash"


@frozen(kw_only=True)
class ModelCost:
    """Prices in dollars per thousand tokens; both 0: it costs nothing."""

    input_cost_per_thousand: float = 0.0
    output_cost_per_thousand: float = 0.0


@frozen(kw_only=True)
class RateLimit:
    """Limits of a server, which hold before a request is sent; 0 is none."""

    tokens_per_minute: int = 0
    requests_per_minute: int = 0


@frozen(kw_only=True)
class ProviderInfo:
    """A server: its address, and its key, or ``${NAME}`` of a variable."""

    name: str
    base_url: str | None = None
    default_api_key: str | None = field(default=None, repr=False)
    custom_args: Mapping[str, Any] = field(factory=dict)


def _cost(given: ModelCost | Mapping[str, Any] | None) -> ModelCost | None:
    return ModelCost(**given) if isinstance(given, Mapping) else given


def _limit(given: RateLimit | Mapping[str, Any] | None) -> RateLimit | None:
    return RateLimit(**given) if isinstance(given, Mapping) else given


def _provider(given: ProviderInfo | Mapping[str, Any] | None) -> ProviderInfo | None:
    return ProviderInfo(**given) if isinstance(given, Mapping) else given


@frozen(kw_only=True)
class ModelInfo:
    """A model: its id, ``provider:model``, and what is known of it.

    `cost`, `rate_limit` and `provider` may be dicts; `model_id` and `model_name` are other names of
    `id` and `name`.
    """

    id: str = ""
    name: str | None = None
    """A name for readers."""
    cost: ModelCost | None = field(default=None, converter=_cost)
    rate_limit: RateLimit | None = field(default=None, converter=_limit)
    provider: ProviderInfo | None = field(default=None, converter=_provider)
    api_key: str | None = field(default=None, repr=False)
    context_window: int | None = None
    """Tokens of a prompt and its reply; of a model at `base_url`, its requests keep to it."""
    model_id: str = field(default="", repr=False, eq=False)
    model_name: str | None = field(default=None, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "id", self.id or self.model_id)
        object.__setattr__(self, "name", self.name or self.model_name)
        if not self.id:
            raise InvalidArgumentError("a model without an id", recovery_hint='id="openai:gpt-4o"')

    def declaration(self) -> models.Declaration | None:
        """Return the model at its server; None if its id alone says all.

        Raises `InvalidArgumentError` for limits or keys of a provider that is not known.
        """
        prefix, _, name = _chains(self.id).partition(":")
        prefix, name = (prefix, name) if name else ("", prefix)
        given = self._settings()
        provider = self.provider or ProviderInfo(name=prefix)
        host = host_named(prefix)
        if provider.base_url is None and not given:
            return None
        if provider.base_url is None and host is None:
            raise InvalidArgumentError(
                f"the provider of '{self.id}' is not known",
                recovery_hint="write provider=ProviderInfo(name=..., base_url=...)",
            )
        if provider.base_url is not None:
            given["base_url"] = provider.base_url
        elif host is not None:
            given["base_url"] = address_of(host)
            if "api_key" not in given and (variable := key_variable(host)) is not None:
                given["api_key"] = models.env(variable)
        engine = "openai" if host is None else host.engine
        return trusted(Declaration.of(engine, name, given, "register_model()"))

    def _settings(self) -> dict[str, Any]:
        given: dict[str, Any] = {}
        provider = self.provider or ProviderInfo(name="")
        key = self.api_key or provider.default_api_key
        if key is not None:
            named = re.fullmatch(r"\$\{(\w+)\}", key)
            given["api_key"] = key if named is None else models.env(named[1])
        limit = self.rate_limit or RateLimit()
        if limit.requests_per_minute:
            given["requests_per_minute"] = limit.requests_per_minute
        if limit.tokens_per_minute:
            given["tokens_per_minute"] = limit.tokens_per_minute
        if self.cost is not None:
            price = {
                "input": 1000 * self.cost.input_cost_per_thousand,
                "output": 1000 * self.cost.output_cost_per_thousand,
            }
            given["price"] = price if any(price.values()) else "none"
        if self.context_window is not None and provider.base_url is not None:
            given["max_model_len"] = self.context_window
        return given | dict(provider.custom_args)


class ModelRegistry:
    """Models that a program declares; one with an address of its own is defined for all chains.

    >>> registry = ModelRegistry()
    >>> registry.register_model(ModelInfo(id="openai:gpt-4o"))
    >>> registry.list_models(), registry.is_registered("openai:gpt-4o")
    (['openai:gpt-4o'], True)
    """

    def __init__(self) -> None:
        self._infos: dict[str, ModelInfo] = {}
        self._lock = threading.RLock()

    def register_model(self, model_info: ModelInfo) -> None:
        """Add a model. Raises `InvalidArgumentError` if there is one with its id."""
        with self._lock:
            if model_info.id in self._infos:
                raise InvalidArgumentError(
                    f"the registry has a model '{model_info.id}'",
                    recovery_hint="register_or_update_model replaces it",
                )
            self.register_or_update_model(model_info)

    def register_or_update_model(self, model_info: ModelInfo) -> None:
        """Add a model, or replace the one with its id."""
        declared = model_info.declaration()
        with self._lock:
            self._infos[model_info.id] = model_info
        if declared is not None:
            models.define({model_id(model_info.id): declared})

    def unregister_model(self, model_id: str | Enum) -> None:
        """Take a model away, if it is there."""
        with self._lock:
            self._infos.pop(_name(model_id), None)
        models.undefine(_chains(model_id))

    def is_registered(self, model_id: str | Enum) -> bool:
        """Return whether a model is there."""
        return _name(model_id) in self._infos

    def list_models(self) -> list[str]:
        """Return the ids, in the order in which they were added."""
        return [*self._infos]

    def get_model_info(self, model_id: str | Enum) -> ModelInfo:
        """Return what is known of a model. Raises `ModelNotFoundError`."""
        name = _name(model_id)
        if name not in self._infos:
            near = misspelt(name, sorted(self._infos))
            known = ", ".join(self._infos) or "none"
            raise ModelNotFoundError(
                f"the registry has no model '{name}'",
                recovery_hint=f"did you mean '{near}'?" if near else f"it has: {known}",
            )
        return self._infos[name]

    def get_model(self, model_id: str | Enum) -> ModelBinding:
        """Return a model, to be called with prompts. Raises `ModelNotFoundError`."""
        info = self.get_model_info(model_id)
        made = ModelBinding(info.id)
        made.model_info = info
        return made

    def discover_models(self) -> list[str]:
        """Ask each provider whose key is set, add what it has, and return the new ids."""
        from chainlang.models.discovery import discover

        found = []
        for one in discover():
            for name in one.models:
                made = f"{one.provider}:{name}"
                if not self.is_registered(made):
                    self.register_model(ModelInfo(id=made, name=name))
                    found.append(made)
        return found


def _name(given: str | Enum) -> str:
    return str(given.value if isinstance(given, Enum) else given)


def _chains(given: str | Enum) -> str:
    return model_id(given)


@frozen
class UsageSummary:
    """Usage of a model so far."""

    model_name: str
    total_usage: UsageStats = field(factory=UsageStats)

    @property
    def total_tokens_used(self) -> int:
        """Tokens of prompts and replies."""
        return self.total_usage.total_tokens


class UsageService:
    """Usage by model, added up as calls end, from any thread."""

    def __init__(self) -> None:
        self._used: dict[str, UsageStats] = {}
        self._lock = threading.Lock()

    def add_usage_record(self, model_id: str, usage_stats: UsageStats) -> None:
        """Add the usage of a call."""
        with self._lock:
            before = self._used.get(model_id)
            self._used[model_id] = usage_stats if before is None else before + usage_stats

    def get_usage_summary(self, model_id: str) -> UsageSummary:
        """Return the usage of a model; nothing for one that was not called."""
        nothing = UsageStats(cost_usd=Decimal(0))
        return UsageSummary(model_id, self._used.get(model_id, nothing))

    def get_total_usage(self) -> UsageStats:
        """Return the usage of all models."""
        with self._lock:
            several = [*self._used.values()]
        return sum(several[1:], several[0]) if several else UsageStats(cost_usd=Decimal(0))


class ModelService:
    """Models by their names, with the usage of their calls: ``service("gpt-4o", "prompt")``."""

    def __init__(
        self,
        registry: ModelRegistry | None = None,
        usage_service: UsageService | None = None,
        default_model_id: str | Enum | None = None,
    ) -> None:
        self.registry = self._registry = registry or ModelRegistry()
        self.usage_service = usage_service
        self.default_model_id = default_model_id

    def get_model(self, model_id: str | Enum | None = None) -> ModelBinding:
        """Return a model, also one that the registry does not have."""
        name = model_id if model_id is not None else self.default_model_id
        if name is None:
            raise InvalidArgumentError(
                "a service without a default model is called with a model",
                recovery_hint='write service("gpt-4o", "prompt")',
            )
        return ModelBinding(name)

    def __call__(
        self, model_id: str | Enum | None = None, prompt: str | None = None, **options: Any
    ) -> Response:
        """Return the reply of a model to a prompt."""
        reply = self.get_model(model_id)(prompt, **options)
        if self.usage_service is not None:
            self.usage_service.add_usage_record(reply.model_id, reply.usage)
        return reply

    def invoke_model(self, model_id: str | Enum, prompt: str, **options: Any) -> Response:
        """Return the reply of a model to a prompt."""
        return self(model_id, prompt, **options)

    async def invoke_model_async(
        self, model_id: str | Enum, prompt: str, **options: Any
    ) -> Response:
        """Return the reply of a model to a prompt, without blocking the event loop."""
        import asyncio

        return await asyncio.to_thread(self, model_id, prompt, **options)


_REGISTRY = ModelRegistry()
_SERVICE = ModelService(_REGISTRY, UsageService())


def get_registry() -> ModelRegistry:
    """Return the registry of this process."""
    return _REGISTRY


def get_model_service() -> ModelService:
    """Return the service of this process, which counts usage."""
    return _SERVICE


def initialize_registry(
    auto_discover: bool = True,  # Ember's signature
    *,
    force_discovery: bool = False,
) -> ModelRegistry:
    """Return the registry of this process, with the models that providers say they have.

    Each provider whose key is set is asked, at most once an hour unless `force_discovery`.
    """
    if auto_discover or force_discovery:
        if force_discovery:
            from chainlang.models.discovery import discover

            discover(fresh=True)
        _REGISTRY.discover_models()
    return _REGISTRY

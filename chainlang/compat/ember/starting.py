"""`init` and `initialize_ember`: the service and the registry with which Ember's programs begin."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from chainlang.compat.ember.exceptions import InvalidArgumentError
from chainlang.compat.ember.log import configure_logging
from chainlang.compat.ember.model_calls import ModelBinding
from chainlang.compat.ember.model_registry import (
    ModelRegistry,
    ModelService,
    UsageService,
    get_model_service,
    get_registry,
    initialize_registry,
)

__all__ = ["EmberContext", "get_ember_context", "init", "initialize_ember"]

_KEYS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "deepmind": "GOOGLE_API_KEY"}


def init(config: None = None, usage_tracking: bool = False) -> ModelService:
    """Return a service, called with a model and a prompt; with `usage_tracking` it counts usage.

    >>> from chainlang.compat import ember
    >>> from chainlang.engines.fake import FakeEngine
    >>> service = ember.init(usage_tracking=True)
    >>> with ember.use(engine=FakeEngine(answers={"17": "42"})):
    ...     print(service("openai:gpt-4o", "What is 17 + 25?"))
    42
    >>> service.usage_service.get_usage_summary("openai:gpt-4o").total_tokens_used > 0
    True
    """
    _refuse_config(config)
    return ModelService(get_registry(), UsageService() if usage_tracking else None)


def initialize_ember(
    config_path: None = None,
    *,
    auto_discover: bool = True,
    force_discovery: bool = False,
    api_keys: Mapping[str, str] | None = None,
    verbose_logging: bool = False,
) -> ModelRegistry:
    """Return the registry of this process, after asking providers for their models.

    `api_keys` by provider are set as variables of the environment.
    """
    _refuse_config(config_path)
    for provider, key in (api_keys or {}).items():
        if provider not in _KEYS:
            known = ", ".join(_KEYS)
            raise InvalidArgumentError(
                f"api_keys= has a provider '{provider}'", recovery_hint=f"there are: {known}"
            )
        os.environ[_KEYS[provider]] = key
    configure_logging(verbose=verbose_logging)
    return initialize_registry(auto_discover, force_discovery=force_discovery)


def _refuse_config(config: Any) -> None:
    if config is not None:
        raise InvalidArgumentError(
            "a file of Ember's settings is not read",
            recovery_hint="settings stand in chainlang.toml, models in models.toml",
        )


@frozen
class EmberContext:
    """Registry and service of this process, as Ember's context has them."""

    registry: ModelRegistry = field(factory=get_registry)
    model_service: ModelService = field(factory=get_model_service)

    def get_model(self, name: str) -> ModelBinding:
        """Return a model, to be called with prompts."""
        return self.model_service.get_model(name)


def get_ember_context() -> EmberContext:
    """Return the registry and the service of this process."""
    return EmberContext()

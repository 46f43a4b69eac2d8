"""Models by their names, under the path of Ember's API."""

from chainlang.compat.ember.language_models import LMModule, LMModuleConfig
from chainlang.compat.ember.model_calls import (
    ModelAPI,
    ModelBinding,
    ModelBuilder,
    Provider,
    Response,
    UsageStats,
    complete,
    configure,
    model,
)
from chainlang.compat.ember.model_registry import (
    ModelCost,
    ModelEnum,
    ModelInfo,
    ModelNotFoundError,
    ModelRegistry,
    ModelService,
    ProviderInfo,
    RateLimit,
    UsageService,
    UsageSummary,
    get_model_service,
    get_registry,
    initialize_registry,
)

__all__ = [
    "LMModule",
    "LMModuleConfig",
    "ModelAPI",
    "ModelBinding",
    "ModelBuilder",
    "ModelCost",
    "ModelEnum",
    "ModelInfo",
    "ModelNotFoundError",
    "ModelRegistry",
    "ModelService",
    "ProviderInfo",
    "RateLimit",
    "Response",
    "UsageService",
    "UsageStats",
    "UsageSummary",
    "anthropic",
    "complete",
    "configure",
    "create_model_service",
    "deepmind",
    "get_model_service",
    "get_registry",
    "initialize_registry",
    "model",
    "openai",
]

create_model_service = ModelService
openai = Provider("openai")
anthropic = Provider("anthropic")
deepmind = Provider("deepmind")

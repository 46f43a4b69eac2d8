"""Names of Ember's that have another spelling here; using one is an error that says which."""

from __future__ import annotations

from typing import NoReturn

from chainlang.compat.ember.exceptions import NotHereError

__all__ = ["refuse"]

_MODELS = (
    'a chain names its model, as in E("llama"), or LMModule(LMModuleConfig(id="llama")); the engine'
    " of all calls is set by ember.use(engine=...)"
)
_ROWS = "rows are any iterable of dicts, a data frame, or a file: chain.map(rows)"
_METRICS = "count over the results of chain.map(rows): result.answer beside the row's own"
_START = "ember.use(engine=...) sets the engine of all calls; nothing has to be initialized"
_DATA = "Dataset DatasetBuilder DatasetEntry DatasetInfo TaskType datasets list_available_datasets"
_NAMES = {
    "ember": (
        ("models", _MODELS),
        ("datasets data", _ROWS),
        ("eval", _METRICS),
        ("init initialize_ember current_context", _START),
    ),
    "ember.api": (("datasets", _ROWS),),
    "ember.api.models": (
        (
            "ModelAPI ModelBuilder ModelContext ModelCost ModelEnum ModelInfo ModelRegistry",
            _MODELS,
        ),
        ("ModelService ProviderInfo RateLimit Response UsageService anthropic complete", _MODELS),
        (
            "configure create_context deepmind get_model_service get_registry model openai",
            _MODELS,
        ),
        ("initialize_registry", _START),
    ),
    "ember.api.data": ((f"{_DATA} DataAPI DataContext register", _ROWS),),
    "ember.api.eval": (("EvaluationPipeline EvaluationResult Evaluator", _METRICS),),
}


def refuse(module: str, name: str) -> NoReturn:
    """Raise `NotHereError` for a name of Ember's, `AttributeError` for any other."""
    place = module.partition("compat.")[2]
    for names, hint in _NAMES.get(place, ()):
        if name in names.split():
            raise NotHereError(f"{place}.{name} is not here", recovery_hint=hint)
    raise AttributeError(f"module '{module}' has no attribute '{name}'")

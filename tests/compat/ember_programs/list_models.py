"""A table of registered models with their prices and contexts."""

from chainlang.compat.ember.api.models import ModelCost, ModelInfo, ModelRegistry

KNOWN = {
    "openai:gpt-4o": (0.005, 0.015, 128_000),
    "openai:gpt-4o-mini": (0.00015, 0.0006, 128_000),
    "anthropic:claude-3-opus": (0.015, 0.075, 200_000),
}


def main() -> None:
    registry = ModelRegistry()
    for name, (read, written, window) in KNOWN.items():
        cost = ModelCost(input_cost_per_thousand=read, output_cost_per_thousand=written)
        registry.register_model(ModelInfo(id=name, cost=cost, context_window=window))
    for name in registry.list_models():
        info = registry.get_model_info(name)
        assert info.cost is not None
        prices = f"{info.cost.input_cost_per_thousand} / {info.cost.output_cost_per_thousand}"
        print(f"{name:<24} {prices:<18} {info.context_window:,}")
    for name in KNOWN:
        registry.unregister_model(name)
    print(registry.list_models())

"""Models registered by hand: one of a provider with limits, one at an address of its own."""

from chainlang.compat.ember.api.models import (
    ModelCost,
    ModelInfo,
    ModelRegistry,
    ProviderInfo,
    RateLimit,
)


def main() -> None:
    registry = ModelRegistry()
    limits = RateLimit(tokens_per_minute=100_000, requests_per_minute=500)
    registry.register_model(ModelInfo(id="openai:gpt-4o-mini", rate_limit=limits))
    own = ProviderInfo(name="lab", base_url="http://127.0.0.1:9/v1", default_api_key="${LAB_KEY}")
    price = ModelCost(input_cost_per_thousand=0.001, output_cost_per_thousand=0.002)
    registry.register_model(ModelInfo(id="lab:mixtral", provider=own, cost=price))
    try:
        registry.register_model(ModelInfo(id="lab:mixtral", provider=own))
    except ValueError as error:
        print("twice:", "lab:mixtral" in str(error))
    registry.register_or_update_model(
        ModelInfo(id="lab:mixtral", provider=own, context_window=32768)
    )
    print(registry.list_models(), registry.is_registered("lab:llama"))
    print(registry.get_model_info("lab:mixtral").context_window)
    try:
        registry.get_model("lab:mixtrall")
    except KeyError as error:
        print("unknown:", "did you mean" in str(error))
    print(registry.get_model("openai:gpt-4o-mini")("What is the capital of Peru?"))
    for name in registry.list_models():
        registry.unregister_model(name)

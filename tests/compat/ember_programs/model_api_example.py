"""A registry, a service that counts usage, and models by enum and by builder."""

from chainlang.compat.ember.api.models import (
    ModelAPI,
    ModelBuilder,
    ModelEnum,
    ModelInfo,
    ModelRegistry,
    ModelService,
    UsageService,
)


def main() -> None:
    registry, usage = ModelRegistry(), UsageService()
    registry.register_model(ModelInfo(id="openai:gpt-4o", name="gpt-4o"))
    service = ModelService(registry=registry, usage_service=usage)
    for country in ("Peru", "Kenya"):
        print(service("openai:gpt-4o", f"What is the capital of {country}?"))
    print(service.invoke_model(ModelEnum.gpt_4o, "What is the capital of Kenya?").text)
    summary = usage.get_usage_summary(model_id="openai:gpt-4o")
    print(summary.model_name, summary.total_tokens_used == summary.total_usage.total_tokens)
    built = ModelBuilder().temperature(0.2).max_tokens(32).timeout(30).build("openai:gpt-4o")
    print(built.generate(prompt="What is the capital of Peru?"))
    print(ModelAPI.from_enum(ModelEnum.gpt4o).generate(prompt="What is the capital of Kenya?"))

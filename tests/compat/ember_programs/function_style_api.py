"""Models called as functions: one-shot, reused, with options at four levels, by a provider."""

from chainlang.compat.ember.api import models
from chainlang.compat.ember.api.models import ModelEnum


def main() -> None:
    print(models.model("gpt-4o")("What is the capital of Peru?"))
    brief = models.model("openai:gpt-4o", temperature=0.2)
    for country in ("Kenya", "Peru"):
        print(country, brief(f"What is the capital of {country}?", max_tokens=16).text)
    with models.configure(temperature=0.9), models.configure(max_tokens=8):
        reply = models.anthropic.claude_3_5_sonnet("What is the capital of Kenya?")
    print(reply.model_id, reply.usage.total_tokens > 0, reply.usage.cost)
    print(models.complete("What is the capital of Peru?", model=ModelEnum.gemini_1_5_pro).data)

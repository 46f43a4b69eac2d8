"""Patterns around the service: a default model, several models at once, a fallback, a batch."""

from concurrent.futures import ThreadPoolExecutor

from chainlang.compat.ember import init
from chainlang.compat.ember.api.models import ModelService, get_registry

NAMES = ("openai:gpt-4o", "anthropic:claude-3-5-sonnet", "openai:gpt-4o-mini")
QUESTIONS = [f"What is the capital of {one}?" for one in ("Peru", "Kenya")]


def main() -> None:
    service = init(usage_tracking=True)
    print("one:     ", service(NAMES[0], QUESTIONS[0]))
    default = ModelService(registry=get_registry(), default_model_id=NAMES[2])
    print("default: ", default(prompt=QUESTIONS[1]))
    print("several: ", {name: service(name, QUESTIONS[0]).text for name in NAMES})
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = list(pool.map(lambda question: service(NAMES[0], question).text, QUESTIONS * 2))
    print("batch:   ", found)
    assert service.usage_service is not None
    print("counted: ", service.usage_service.get_usage_summary(NAMES[0]).total_tokens_used > 0)

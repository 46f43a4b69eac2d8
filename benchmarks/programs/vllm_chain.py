"""A chain over rows, on vLLM."""

import json
import sys
from typing import Any

import one_thread  # noqa: F401  # before vLLM
from serve import serve

from chainlang import chain
from chainlang.engines.vllm.engine import VllmEngine

MODEL, SETTINGS = sys.argv[1:]
engine = VllmEngine(MODEL, **json.loads(SETTINGS))


def run(rows: list[str], text: str, plan: dict[str, Any], **_: Any) -> dict[str, Any]:
    before = engine.steps
    results = list(chain(text).map(rows, engine=engine, **plan))
    usages = [result.usage for result in results]
    return {
        "answers": [None if result.failure else result.answer for result in results],
        "steps": engine.steps - before,
        "calls": sum(usage.calls for usage in usages),
        "tokens": sum(usage.output_tokens for usage in usages),
        "computed": sum(usage.prompt_tokens - usage.cached_tokens for usage in usages),
    }


serve(run)

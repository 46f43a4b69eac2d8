"""An ensemble and a judge on vLLM, as a chain."""

import json
import sys
from typing import Any

import one_thread  # noqa: F401  # before vLLM
from serve import serve

from chainlang import chain
from chainlang.engines.vllm import VllmEngine

MODEL, SETTINGS = sys.argv[1:]
engine = VllmEngine(MODEL, **json.loads(SETTINGS))


def run(rows: list[str], **_: Any) -> dict[str, Any]:
    before = engine.steps
    results = list(chain("5:E:tiny:0.7 >> J:tiny").map(rows, engine=engine))
    answers = [None if result.failure else result.answer for result in results]
    tokens = sum(result.usage.output_tokens for result in results)
    return {"answers": answers, "steps": engine.steps - before, "tokens": tokens}


serve(run)

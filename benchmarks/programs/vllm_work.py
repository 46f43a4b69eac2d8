"""Chains over rows on vLLM, with an empty cache of prefixes, and what that took of the engine."""

import json
import sys
from collections.abc import Iterable
from typing import Any

import one_thread  # noqa: F401  # before vLLM
from serve import serve

from chainlang import load
from chainlang.engines.vllm import VllmEngine
from chainlang.plan.prefixes import bound
from chainlang.wire import Request

MODEL, SETTINGS = sys.argv[1:]
BLOCK = 32


class Noting(VllmEngine):
    """An engine that keeps the tokens of each prompt, once for each sample."""

    prompts: list[list[int]]

    def submit(self, requests: Iterable[Request]) -> None:
        asked = list(requests)
        for one in asked:
            self.prompts += [self._loaded.prompts.token_ids(one.messages)] * one.drawn
        super().submit(asked)


engine = Noting(MODEL, **json.loads(SETTINGS))


def run(rows: list[dict[str, Any]], text: str, plan: dict[str, Any]) -> dict[str, Any]:
    engine.prompts, before = [], engine.steps
    engine._loaded.engine.reset_prefix_cache()
    results = list(load(text=text).map(rows, engine=engine, **plan))
    usages = [result.usage for result in results]
    return {
        "answers": [None if result.failure else result.answer for result in results],
        "steps": engine.steps - before,
        "samples": sum(usage.calls for usage in usages),
        "prompt": sum(usage.prompt_tokens for usage in usages),
        "computed": sum(usage.prompt_tokens - usage.cached_tokens for usage in usages),
        "least": bound(engine.prompts, BLOCK),
    }


serve(run)

"""Chains over rows on vLLM, with an empty cache of prefixes, and what that took of the engine."""

import json
import sys
from typing import Any

import one_thread  # noqa: F401  # before vLLM
from counted import Counted
from serve import serve

from chainlang import load
from chainlang.engines.vllm.engine import VllmEngine
from chainlang.session.result import Result

MODEL, SETTINGS = sys.argv[1:]
engine = VllmEngine(MODEL, **json.loads(SETTINGS))
counted = Counted(engine._loaded.engine.engine_core.engine_core)


def answers(result: Result) -> Any:
    if result.failure:
        return None
    return [one.answer for one in result.branches.values()] or result.answer


def run(rows: list[dict[str, Any]], text: str, plan: dict[str, Any], **_: Any) -> Any:
    counted.begin()
    results = list(load(text=text).map(rows, engine=engine, **plan))
    return lambda: {"answers": [answers(one) for one in results], **counted.report()}


serve(run)

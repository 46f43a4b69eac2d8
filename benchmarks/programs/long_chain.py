"""A chain over long queries on vLLM, with the chainlang of a folder: what prompts it computes."""

import json
import sys
from typing import Any

sys.path.insert(0, sys.argv[1])

import one_thread  # noqa: F401  # before vLLM
from counted import Counted
from serve import serve

from chainlang import load

try:
    from chainlang.engines.vllm.engine import VllmEngine
except ImportError:  # an earlier chainlang
    from chainlang.engines.vllm import VllmEngine  # type: ignore[attr-defined, no-redef]

_, MODEL, SETTINGS = sys.argv[1:]
engine = VllmEngine(MODEL, **json.loads(SETTINGS))
counted = Counted(engine._loaded.engine.engine_core.engine_core)  # type: ignore[union-attr]


def run(rows: list[str], text: str, bounds: bool, **_: Any) -> Any:
    counted.begin()
    results = list(load(text=text).map(rows, engine=engine, on_error="collect"))
    failed = sum(not one.ok for one in results)
    return lambda: {"failed": failed, **(counted.report() if bounds else counted.counts())}


serve(run)

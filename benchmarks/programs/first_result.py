"""Rows through `map` on vLLM, with the chainlang of a folder: when the first result comes."""

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, sys.argv[1])

import one_thread  # noqa: F401  # before vLLM
from serve import serve

from chainlang import load

DESCRIBES = (Path(sys.argv[1]) / "chainlang" / "semantics" / "describing.py").exists()


def run(rows: list[str], text: str, window: int) -> dict[str, Any]:
    if not DESCRIBES:  # an earlier chainlang has no such setting, and says no types in prompts
        text = text.replace('describe = "none"', "")
    began, came, answers = time.monotonic(), list[float](), list[str]()
    for result in load(text=text).map(rows, window=window, on_error="collect"):
        came.append(time.monotonic() - began)
        answers.append(str(result.failure.cause if result.failure else result.answer))
    return {
        "answers": answers,
        "whole": came[-1],
        "first": came[0] / came[-1],
        "half": came[len(came) // 2] / came[-1],
    }


serve(run)

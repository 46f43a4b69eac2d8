"""Rows through `map` on vLLM, with the chainlang of a folder: when the first result comes."""

import sys
import time
from typing import Any

sys.path.insert(0, sys.argv[1])

import one_thread  # noqa: F401  # before vLLM
from serve import serve

from chainlang import chain


def run(rows: list[str], text: str, window: int) -> dict[str, Any]:
    began, came, answers = time.monotonic(), list[float](), list[str]()
    for result in chain(text).map(rows, window=window, on_error="collect"):
        came.append(time.monotonic() - began)
        answers.append(str(result.failure.cause if result.failure else result.answer))
    return {
        "answers": answers,
        "whole": came[-1],
        "first": came[0] / came[-1],
        "half": came[len(came) // 2] / came[-1],
    }


serve(run)

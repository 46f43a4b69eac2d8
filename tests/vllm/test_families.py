"""A family on vLLM: each member answers as it does alone, and the widest pays for all."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import E, M
from chainlang.evaluation import evaluate, pick, sweep

pytestmark = pytest.mark.vllm
ROWS = [
    {"query": f"What is {a} + {b}?", "sum": a + b} for a, b in ((17, 25), (8, 9), (61, 30), (45, 7))
]
FAMILY = E("tiny", pick(1, 3, 5), 0.7) >> M


def test_members_answer_as_alone(tiny_engine: Any) -> None:
    before = tiny_engine.metrics
    found = sweep(FAMILY, ROWS, "number", target="sum", engine=tiny_engine)
    shared = (tiny_engine.metrics - before).usage.output_tokens
    alone = [
        evaluate(one.chain, ROWS, "number", target="sum", engine=tiny_engine) for one in FAMILY
    ]
    assert [one.evaluation.scores for one in found.members] == [one.scores for one in alone]
    before = tiny_engine.metrics
    evaluate(FAMILY[2].chain, ROWS, "number", target="sum", engine=tiny_engine)
    assert shared == (tiny_engine.metrics - before).usage.output_tokens

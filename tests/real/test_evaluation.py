"""The command `eval` on a real model, which answers some questions and rambles on others."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from chainlang.engines.vllm.engine import VllmEngine
from chainlang.evaluation import evaluate
from tests.laws import in_the_soak


def questions() -> list[dict[str, Any]]:
    """Return sums of two digits, 100 in the long run; their answers are the scorer."""
    drawn = random.Random(7)
    pairs = [(drawn.randrange(1, 10), drawn.randrange(1, 10)) for _ in range(100)]
    rows = [{"id": f"{n}", "query": f"What is {a} + {b}?", "sum": a + b} for n, (a, b) in
            enumerate(pairs)]  # fmt: skip
    return rows if in_the_soak() else rows[:20]


@pytest.mark.law
def test_a_real_model_is_scored_with_what_could_not_be_read(
    real_engine: VllmEngine, tmp_path: Path
) -> None:
    text = 'E:real:0(max_tokens=24, cut="keep")'
    found = evaluate(text, questions(), "number", target="sum", engine=real_engine)
    counts = found.counts
    assert counts["failed"] == 0
    assert counts["correct"] + counts["wrong"] + counts["unread"] == len(questions())
    low, high = found.interval
    assert 0.1 < found.accuracy < 0.8
    assert low < found.accuracy < high
    assert all(one.read is None for one in found.of("unread"))
    assert all(float(one.read) == one.target for one in found.of("correct"))
    again = evaluate(
        text, questions(), "number", target="sum", engine=real_engine, out=tmp_path / "run"
    )
    assert again.scores == found.scores
    lines = (tmp_path / "run" / "scores.jsonl").read_text().splitlines()
    unread = [json.loads(line) for line in lines if json.loads(line)["outcome"] == "unread"]
    assert len(unread) == counts["unread"]
    print(f"{len(questions())} questions: {found.accuracy:.0%} right, {counts['unread']} unread")

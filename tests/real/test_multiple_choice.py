"""Multiple choice over packaged questions: replies are choices of their row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chainlang import load
from chainlang.engines.vllm.engine import VllmEngine
from examples.real_model import questions
from tests.laws import few_of, in_the_soak

CHAIN = Path(__file__).parents[2] / "examples" / "multiple_choice.chain"
SETS = {"truthfulqa_mc1": ("question", "choices"), "hellaswag": ("ctx", "endings")}


def rows_of(name: str) -> list[dict[str, Any]]:
    question, choices = SETS[name]
    rows = questions(name)[: 100 if in_the_soak() else 8]
    return [
        {
            "id": row["id"],
            "question": row[question],
            "choices": row[choices],
            "expected": row[choices][row["expected_index"]],
        }
        for row in rows
    ]


def test_the_chain_has_at_most_ten_lines() -> None:
    assert len(CHAIN.read_text(encoding="utf-8").splitlines()) <= 10


@few_of("name", 1, list(SETS))
def test_each_reply_is_a_choice_of_its_row(name: str, real_engine: VllmEngine) -> None:
    rows, qa = rows_of(name), load(CHAIN)
    (said,) = qa.explain(rows, engine=real_engine).estimate.models.values()
    before = real_engine.metrics.usage
    results = list(qa.map(rows, engine=real_engine))
    after = real_engine.metrics.usage
    assert after.prompt_tokens - before.prompt_tokens == said.cost.prompt_tokens.least
    assert said.cost.prompt_tokens.least == said.cost.prompt_tokens.most
    for row, result in zip(rows, results, strict=True):
        assert result.ok, result.failure
        assert result.answer in row["choices"]

"""A reply of a judge, a verifier and a selector always ends, also that of a model which rambles."""

from __future__ import annotations

from collections import Counter
from typing import Any

from chainlang import chain
from chainlang.engines.vllm.engine import VllmEngine
from examples.real_model import questions
from tests.laws import few_of, in_the_soak

CHAINS = ("S", "E >> V", "3:E >> J")


def rows_of(text: str) -> list[dict[str, Any]]:
    """Return questions with four choices: 200 of them in the soak."""
    found = [
        *({"query": one["ctx"], "responses": one["endings"]} for one in questions("hellaswag")),
        *({"query": one["question"], "responses": one["choices"][:4]}
          for one in questions("truthfulqa_mc1")),
    ]  # fmt: skip
    chosen = found[: 200 if in_the_soak() else 2]
    return chosen if text == "S" else [{"query": one["query"]} for one in chosen]


@few_of("text", 1, CHAINS)
def test_no_row_fails_by_a_cut(text: str, real_engine: VllmEngine) -> None:
    made = chain(text)
    results = list(made.map(rows_of(text), engine=real_engine))
    typed = text.removeprefix("3:").split(" >> ")[-1]
    failures = [one.failure for one in results if one.failure is not None]
    assert not [one for one in failures if one.stage == typed]
    print(text, Counter(event.message for one in results for event in one.events))

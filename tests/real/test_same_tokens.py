"""The runtime against the reference on a real model in float32: equal, token for token.

Each chain runs without passes and with all, one row at a time and all at once, in both orders.
"""

from __future__ import annotations

import pytest

from chainlang import load
from chainlang.engines.vllm.engine import VllmEngine
from examples.real_model import questions
from tests.laws import few_of, in_the_soak
from tests.vllm.same_tokens import EACH_WAY, hold_to_the_reference

OPS = """
op solve : generate { max_tokens = 10  cut = "keep"  temperature = 0.7  user = "{{ query }}" }
op grade : map -> { sure: int(1..5), kind: "sum" | "guess" } {
  user = "Question: {{ query }}\\nAnswer: {{ candidate.answer }}\\nRate the answer."
}
op pick : fold -> { best: str(1..12), number: int(0..9) } {
  answer = "number"
  user = "{{ query }}{% for one in candidates %}\\n- {{ one.answer }}{% endfor %}\\nPick a digit."
}
"""
CHAINS = [
    "3:solve >> M",
    "2:solve >> pick::0.7",
    "2:solve::1.3 >> grade >> pick",
    'E(max_tokens=9, cut="keep") >> 2:E(max_tokens=9, cut="keep") >> J(max_tokens=30)',
    "2:solve >> V(max_tokens=40)",
    "3:solve >> S(max_tokens=40)",
    "((a = 2:solve) & (b = 2:solve::1.2 >> M)) >> pick::0.7",
    "2:solve >> (pick | grade::0.7)",
    '4:solve::0.9(top_p=0.8, max_tokens=8, stop=".") >> M(normalize="number")',
    "2:solve >> fallback(retry(2:grade::0.7(max_tokens=12)), pick)",
    'loop(solve >> grade::0.7, until="sure >= 4", max=3)',
    'each(2:solve >> M, over="parts", item="query") >> pick',
]


@pytest.mark.filterwarnings("ignore::chainlang.ChainlangWarning")  # ops that a chain leaves out
@few_of("text", 2, CHAINS)
def test_the_runtime_draws_the_tokens_of_the_reference(text: str, real_engine: VllmEngine) -> None:
    made = load(text=f"{OPS}\nmain = {text}")
    rows = [
        {"id": row["id"], "query": row["prompt"], "parts": row["prompt"].split(". ")[:2]}
        for row in questions("gsm8k")[: 5 if in_the_soak() else 2]
    ]
    hold_to_the_reference(made, real_engine, rows, EACH_WAY)

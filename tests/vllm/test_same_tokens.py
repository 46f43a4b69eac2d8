"""The runtime against the reference on real vLLM (float32, CPU): equal, token for token.

No token stands in this file: both sides are computed here, on a model with random weights, whose
words are as unsure as words can be.
"""

from __future__ import annotations

import itertools
import warnings

import pytest
from attrs import evolve

from chainlang import ChainlangWarning, load
from chainlang.engines.vllm import VllmEngine
from chainlang.ops.inputs import record_of
from chainlang.ops.records import Flow
from chainlang.ops.stages import StageError
from chainlang.plan.lower import lower
from chainlang.reference import interpret
from chainlang.runtime.loop import run
from chainlang.wire import Completion, Failure, Request

OPS = """
op pick : fold -> { why: str(1..8), final: "a" | "b" | "c" } {
  answer = "final"
  user = "{{ query }}{% for one in candidates %} {{ one.answer }}{% endfor %}. Pick."
}
op rate : map -> { score: int(1..5), sure: bool } {
  user = "{{ query }} {{ candidate.answer }}. Rate."
}
op tell : generate { max_tokens = 12  temperature = 0.7  user = "{{ query }} Tell." }
"""
CHAINS = [
    "tell",
    "5:tell >> M",
    "3:tell::1.0 >> pick",
    "2:tell >> rate",
    "3:tell::0 >> M",
    '3:tell >> 3:pick::0.7 >> M(by="final")',
    "3:tell >> pick >> rate::1.3",
    "E(max_tokens=9) >> 2:E(max_tokens=9) >> M",
    "((fr = 2:tell) & (es = 2:tell::1.5 >> M)) >> pick::0.7",
    "2:tell >> (pick | rate::0.7 | M)",
    "(tell | tell::1.3) >> pick",
    "3 * (2:tell >> M) >> M",
    '4:tell::0.9(top_p=0.8, max_tokens=3, stop="a") >> M(normalize="number")',
    "2:tell >> 2:rate::0.7 >> 2:pick::0.7",
]
ROWS = [
    {"id": str(number), "query": f"What is {left} + {right}?"}
    for number, (left, right) in enumerate([(17, 25), (8, 91), (340, 56), (5, 5), (77, 68)])
]


@pytest.mark.parametrize("text", CHAINS)
def test_the_runtime_draws_the_tokens_of_the_reference(
    text: str, random_engine: VllmEngine
) -> None:
    numbers = itertools.count()

    def complete(request: Request) -> Completion | Failure:
        random_engine.submit([evolve(request, id=f"reference-{next(numbers)}")])
        while True:
            for reply in random_engine.step():
                return reply

    def meant(row: dict[str, str]) -> Flow | str:
        try:
            return interpret(made.body, record_of(row), complete, declared=made.items)
        except StageError as error:
            return str(error)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainlangWarning)  # some branch like a pipe, on purpose
        made = load(text=f"{OPS}\nmain = {text}")
    plan = lower(made.body, made.items)
    wanted = {row["id"]: meant(row) for row in ROWS}
    for window, rows in ((1, ROWS), (100, ROWS[::-1])):
        records = [record_of(row) for row in rows]
        for outcome in run(plan, records, {"tiny": random_engine}, window=window):
            said = outcome.flow if outcome.failure is None else outcome.failure.message
            assert said == wanted[outcome.row_id]

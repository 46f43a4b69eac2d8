"""An ensemble and a judge on vLLM, beside a script that asks stage by stage."""

from __future__ import annotations

import json
import random
from pathlib import Path

from benchmarks.turns import OURS, Report, in_turns, median
from chainlang import chain, tiny
from chainlang.plan.lower import lower
from chainlang.plan.steps import Sequence
from chainlang.semantics.seeds import row_id, seed

WIDTH = 5
CHAIN = f"{WIDTH}:E:tiny:0.7 >> J:tiny"
SETTINGS = {"max_num_seqs": 32, "enable_prefix_caching": True, "gpu_memory_utilization": 0.1}
BASE, SCRIPT = "chainlang", "a script, `LLM.chat` for each stage"


def table(*, quick: bool = False, model: Path | None = None) -> str:
    rows, rounds = (4, 1) if quick else (300, 15)
    arguments = (model or tiny.path(), json.dumps(SETTINGS))
    programs = {
        BASE: (OURS, "vllm_chain.py", *arguments),
        SCRIPT: (OURS, "vllm_script.py", *arguments),
    }
    jobs = []
    for number in range(rounds + 1):
        asked = questions(rows, number)
        seeds = [first_seed(row) for row in asked]
        work = {"workload": "judged", "width": WIDTH, "seeds": [[seeds]], "most": 1024, "held": {}}
        rows_of = [{"query": one} for one in asked]
        jobs.append({"rows": rows_of, "text": CHAIN, "plan": {}, **work})
    found = in_turns(programs, jobs)
    lines = [
        (
            f"`{CHAIN}` over {rows} questions on vLLM (CPU, float32, at most "
            f"{SETTINGS['max_num_seqs']} samples in a batch, prefix caching on), the median of "
            f"{rounds} rounds in turns after one to warm up, other questions in each (claim: at "
            "most the time of the script)."
        ),
        "",
        "| | seconds | beside the script | engine steps | output tokens |",
        "|---|---:|---:|---:|---:|",
    ]
    base = median(found[SCRIPT], "seconds")
    for name, reports in found.items():
        took = median(reports, "seconds")
        lines.append(
            f"| {name} | {took:.2f} | {took / base:.2f} | {median(reports, 'steps'):,.0f} "
            f"| {median(reports, 'tokens'):,.0f} |"
        )
    return "\n".join([*lines, "", agreement(found)])


def questions(count: int, number: int) -> list[str]:
    """Return sums of two numbers below 100, the same for the same round."""
    draw = random.Random(number)
    pairs = draw.sample([(a, b) for a in range(10, 100) for b in range(10, 100)], count)
    return [f"What is {a} + {b}?" for a, b in pairs]


def first_seed(row: str) -> int:
    """Return the seed with which the chain draws the ensemble of a row."""
    root = lower(chain(CHAIN).body).root
    assert isinstance(root, Sequence)
    return seed(0, row_id({"query": row}), root.steps[0].place)


def agreement(found: dict[str, list[Report]]) -> str:
    """Say how many answers of the two are the same."""
    both = [
        pair
        for one, other in zip(found[BASE], found[SCRIPT], strict=True)
        for pair in zip(one["answers"], other["answers"], strict=True)
    ]
    same = sum(one == other for one, other in both)
    none = sum(one is None for one, _ in both)
    return (
        f"Both draw with the same seeds: {same:,} of {len(both):,} answers are the same; "
        f"{none:,} rows have none, since the judge's reply was cut."
    )

"""What chains cost the engine, as they are written and by all passes: on vLLM, side by side."""

from __future__ import annotations

import json
import random
from typing import Any

from benchmarks.turns import OURS, Program, Report, started
from chainlang import tiny

OPS = {
    "ask": 'generate { temperature = 0.7  max_tokens = 24  user = "{{ document }}\\n{{ query }}" }',
    "first": 'generate { max_tokens = 8  user = "{{ document }}\\nThe first number?" }',
    "count": 'generate { max_tokens = 8  user = "{{ document }}\\nHow many numbers?" }',
    "extract": """generate -> { left: int(0..99), sign: "+" | "-", right: int(0..99) } {
  temperature = 0.7  max_tokens = 48  user = "{{ query }}"
}""",
}
WORKLOADS: dict[str, tuple[str, list[str] | None]] = {
    "self-consistency": ("9:E:tiny:0.7 >> M", ["answer"]),
    "mixture of agents": ("3:E:tiny >> 3:E:tiny >> J:tiny", None),
    "ensemble, judge, verify": ("5:E:tiny:0.7 >> J:tiny >> V:tiny", None),
    "a shared document, 8 questions, 3 branches": ("ask & first & count", None),
    "extraction with repair": ("retry(2:extract, times=3) >> M", None),
    "a panel of verifiers": ("3:E:tiny >> V:tiny >> M", None),
}
SETTINGS = {"max_num_seqs": 32, "gpu_memory_utilization": 0.1}


def table(*, quick: bool = False) -> str:
    count, wide = (4, 40) if quick else (200, 200)
    rows = questions(count, wide)
    head = (
        "workload", "plan", "samples", "prompt tokens", "computed", "beside the bound",
        "engine steps", "seconds",
    )  # fmt: skip
    lines = [
        (
            f"{count} rows on the bundled model, its cache of prefixes empty at the start, at most "
            f"{SETTINGS['max_num_seqs']} samples in a batch; *computed* are the prompt tokens that "
            "the engine had to read, and the bound is that no block of 32 tokens is read twice."
        ),
        "",
        f"| {' | '.join(head)} |",
        f"|---|---|{'---:|' * (len(head) - 2)}",
    ]
    arguments = (str(tiny.path()), json.dumps(SETTINGS))
    with started("workloads", OURS, "vllm_work.py", *arguments) as program:
        program.run(job("E:tiny", rows[:2], {}))  # loads what is loaded when needed
        for name, (text, outputs) in WORKLOADS.items():
            lines += compared(name, text, outputs, rows, program)
    return "\n".join(lines)


def job(text: str, rows: list[dict[str, Any]], plan: dict[str, Any]) -> dict[str, Any]:
    ops = "".join(f"op {name} : {op}\n" for name, op in OPS.items() if name in text)
    return {"rows": rows, "text": f"{ops}main = {text}", "plan": plan}


def compared(
    name: str, text: str, outputs: list[str] | None, rows: list[dict[str, Any]], program: Program
) -> list[str]:
    written = program.run(job(text, rows, {"passes": [], "outputs": outputs}))
    passed = program.run(job(text, rows, {"outputs": outputs}))
    assert written["answers"] == passed["answers"], name
    return [line(f"{name}: `{text}`", "as written", written), line("", "all passes", passed)]


def line(name: str, plan: str, report: Report) -> str:
    cells = (
        name, plan, f"{report['samples']:,}", f"{report['prompt']:,}", f"{report['computed']:,}",
        f"{report['computed'] / report['least']:.2f}", f"{report['steps']:,}",
        f"{report['seconds']:.1f}",
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def questions(count: int, wide: int) -> list[dict[str, Any]]:
    """Return sums, each beside a document of so many numbers that eight of them share."""
    draw = random.Random(0)
    documents = [
        " ".join(str(draw.randrange(100)) for _ in range(wide)) for _ in range(-(-count // 8))
    ]
    rows = [
        {
            "id": str(number),
            "query": f"What is {draw.randrange(100)} + {draw.randrange(100)}?",
            "document": documents[number // 8],
        }
        for number in range(count)
    ]
    draw.shuffle(rows)
    return rows

"""What a vote that stops saves, and that it changes no answer: on vLLM, with the bundled model."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.turns import OURS, Program, Report, started
from chainlang import tiny

QUESTIONS = Path(__file__).parents[1] / "examples" / "data" / "questions.jsonl"
WIDTHS = (3, 5, 9)
CLAIM = 20


def table(*, quick: bool = False) -> str:
    lines_of = QUESTIONS.read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line)["query"] for line in lines_of[: 4 if quick else None]]
    head = (
        "n", "first wave", "samples as written", "drawn", "saved", "engine steps as written",
        "taken", "equal answers",
    )  # fmt: skip
    lines = [
        (
            f"`n:E:tiny:0.7 >> M` over {len(rows)} questions that the bundled model was not trained"
            " on, with `outputs=('answer',)`: the vote draws half of its samples, then what the "
            f"leader lacks, until it is decided (claim: at least {CLAIM} % saved at n = 9)."
        ),
        "",
        f"| {' | '.join(head)} |",
        f"|{'---:|' * len(head)}",
    ]
    with started("votes", OURS, "vllm_chain.py", str(tiny.path()), "{}") as program:
        lines += [measured(width, rows, program) for width in WIDTHS]
    return "\n".join(lines)


def measured(width: int, rows: list[str], program: Program) -> str:
    """Return the line of one width."""

    def ran(**plan: object) -> Report:
        return program.run({"rows": rows, "text": f"{width}:E:tiny:0.7 >> M", "plan": plan})

    whole, stopped = ran(passes=[]), ran(outputs=["answer"])
    pairs = zip(whole["answers"], stopped["answers"], strict=True)
    cells = (
        width,
        (width + 1) // 2,
        f"{whole['calls']:,}",
        f"{stopped['calls']:,}",
        f"{1 - stopped['calls'] / whole['calls']:.1%}",
        whole["steps"],
        stopped["steps"],
        f"{sum(one == other for one, other in pairs)} of {len(rows)}",
    )
    return f"| {' | '.join(map(str, cells))} |"

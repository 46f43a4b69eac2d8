"""What the width of a stage costs before anything is asked: a count is a number, and no list."""

from __future__ import annotations

import statistics
import time
import tracemalloc

from chainlang import chain
from chainlang.limits import Limits
from chainlang.optimizer.compile import compiled
from chainlang.plan.steps import Plan
from chainlang.plan.visit import leaves

WIDTHS = (10, 10_000, 1_000_000)


def table(*, quick: bool = False) -> str:
    rounds = 3 if quick else 51
    lines = [
        (
            "`n:E:tiny:0.7 >> M`, from its text to the plan with all passes, the limits raised: "
            f"the median of {rounds}, in turns, and the most memory that it took (claim: the same "
            "for every width, and one step)."
        ),
        "",
        "| n | milliseconds of CPU | peak memory, kB | model steps in the plan |",
        "|---:|---:|---:|---:|",
    ]
    with Limits(samples_per_stage=WIDTHS[-1], calls_per_row=2 * WIDTHS[-1]).applied():
        made(WIDTHS[0])  # loads what is loaded when needed
        taken: dict[int, list[float]] = {width: [] for width in WIDTHS}
        for _ in range(rounds):
            for width, times in taken.items():
                began = time.process_time()
                made(width)
                times.append(time.process_time() - began)
        for width, times in taken.items():
            plan, peak = weighed(width)
            steps = sum(1 for _ in leaves(plan.root)) - 1  # the other one is the vote
            milliseconds = statistics.median(times) * 1e3
            lines.append(f"| {width:,} | {milliseconds:.2f} | {peak / 1e3:,.0f} | {steps} |")
    return "\n".join(lines)


def made(width: int) -> Plan:
    text = f"{width}:E:tiny:0.7 >> M"
    return compiled(chain(text).program(), outputs=["answer"]).plan


def weighed(width: int) -> tuple[Plan, int]:
    """Return the plan of a width, and how many bytes making it took at most."""
    tracemalloc.start()
    try:
        return made(width), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

"""What `import chainlang` costs, beside the two packages it is made of."""

from __future__ import annotations

import statistics
import subprocess
import sys

ROUNDS = 15
CLAIM = 1.5
PROGRAMS = {
    "nothing": "",
    "lark and attrs": "import lark, attrs",
    "chainlang": "import chainlang",
    "chainlang, and a first chain": "import chainlang; chainlang.chain('3:E >> M')",
}
_MEASURE = "import time; a = time.process_time(); {}; print(time.process_time() - a)"


def measure(rounds: int) -> dict[str, float]:
    """Return the median milliseconds of CPU of each program, run in turns in fresh processes."""
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds + 1):  # the first turn fills the caches of the disk
        for name, program in PROGRAMS.items():
            command = [sys.executable, "-c", _MEASURE.format(program or "pass")]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            taken[name].append(float(done.stdout) * 1e3)
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def table(*, quick: bool = False) -> str:
    rounds = 1 if quick else ROUNDS
    found = measure(rounds)
    base = found["lark and attrs"]
    lines = [
        (
            f"CPU of an import in a fresh process, the median of {rounds}, in turns (the claim: "
            f"`import chainlang` costs at most {CLAIM} times what lark and attrs alone cost)."
        ),
        "",
        "| | ms | beside lark and attrs |",
        "|---|---:|---:|",
    ]
    lines += [
        f"| {name} | {taken:.1f} | {taken / base:.2f} |"
        for name, taken in found.items()
        if taken > 0.5
    ]
    return "\n".join(lines)

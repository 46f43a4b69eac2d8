"""Time to the first result as a share of the whole, on vLLM, beside an earlier commit."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.ensemble import questions
from benchmarks.one_call import BEFORE, unpacked
from benchmarks.turns import HERE, OURS, Report, in_turns, median
from chainlang.settings import DEFAULT_WINDOW

OPS = '''op judge : fold -> { choice: int(1..9) } {
  temperature = 0  describe = "none"
  user = """{{ query }}{% for candidate in candidates %}
Answer {{ loop.index }}: {{ candidate.answer }}{% endfor %}
Which is right?"""
}
op check : map -> { verdict: "correct" | "incorrect" } {
  temperature = 0  describe = "none"
  user = """{{ query }}
Answer: {{ candidate.answer }}
Is it right?"""
}
main = '''
"""Stages with a prompt of their own: that of `J` and `V` is another one since 400e2b0."""
JUDGED, COUNTED = "9:E:tiny:0.7 >> judge:tiny", "3:E:tiny:0.7 >> M"
LOOPED = "E:tiny >> loop(check:tiny, until=\"verdict == 'correct'\", max=2)"
CHAINS = (
    JUDGED,
    COUNTED,
    "5:E:tiny:0.7 >> check:tiny >> judge:tiny",
    "(3:E:tiny:0.7 & E:tiny) >> judge:tiny",
    LOOPED,
)
PARTS = (
    (300, DEFAULT_WINDOW, 5, CHAINS),
    (3000, 32, 1, (JUDGED, COUNTED, LOOPED)),
    (3000, DEFAULT_WINDOW, 1, (JUDGED, COUNTED, LOOPED)),
)
"""Rows, window, rounds and chains of each part of the table."""
QUICK = ((4, 2, 1, CHAINS),)
SHARE = 0.15
OLD, NEW = BEFORE, "now"


def table(*, quick: bool = False) -> str:
    parts = QUICK if quick else PARTS
    jobs = [
        {"rows": questions(rows, number), "text": OPS + text, "window": window}
        for rows, window, rounds, chains in parts
        for text in chains
        for number in range(rounds)
    ]
    with TemporaryDirectory() as folder:
        roots = {NEW: HERE.parent}
        if unpacked(Path(folder)):
            # The bundled model has been trained anew since: both sample the present one.
            model = Path("chainlang", "tiny")
            shutil.copytree(HERE.parent / model, Path(folder, model), dirs_exist_ok=True)
            roots = {OLD: Path(folder), **roots}
        programs = {name: (OURS, "first_result.py", str(root)) for name, root in roots.items()}
        warm = {**jobs[0], "rows": questions(20, len(jobs))}
        found = in_turns(programs, [warm, *jobs])
    heads = ("rows", "window", "chain", f"first, {OLD}", "now", f"half, {OLD}", "now")
    heads = (*heads, f"seconds, {OLD}", "now", f"beside {OLD}")
    lines = [
        (
            "When the first result of `map` comes, and half of them, as shares of the whole, on "
            "vLLM (CPU, float32, one thread) with its default batch, in turns with the code of "
            f"{BEFORE}, the median of the rounds (goal: the first within {SHARE:.0%} at 300 rows, "
            "within 1.5 × window / rows at 3,000; the whole no longer than before)."
        ),
        "",
        f"| {' | '.join(heads)} |",
        "|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    at = 0
    for rows, window, rounds, chains in parts:
        for text in chains:
            reports = {name: each[at : at + rounds] for name, each in found.items()}
            lines.append(f"| {rows:,} | {window} | `{text}` | {' | '.join(compared(reports))} |")
            at += rounds
    if OLD in programs:
        lines += ["", agreement(found)]
    else:
        lines += ["", f"This checkout has no history that reaches back to {BEFORE}."]
    return "\n".join(lines)


def compared(reports: dict[str, list[Report]]) -> list[str]:
    """Return the cells of a row of the table."""
    now = {key: median(reports[NEW], key) for key in ("first", "half", "whole")}
    if OLD not in reports:
        return ["", f"{now['first']:.1%}", "", f"{now['half']:.1%}", "", f"{now['whole']:.2f}", ""]
    old = {key: median(reports[OLD], key) for key in now}
    shares = [f"{one[key]:.1%}" for key in ("first", "half") for one in (old, now)]
    return [
        *shares,
        f"{old['whole']:.2f}",
        f"{now['whole']:.2f}",
        f"{now['whole'] / old['whole']:.2f}",
    ]


def agreement(found: dict[str, list[Report]]) -> str:
    """Say how many answers of the two are the same."""
    both = [
        pair
        for one, other in zip(found[OLD], found[NEW], strict=True)
        for pair in zip(one["answers"], other["answers"], strict=True)
    ]
    return f"{sum(one == other for one, other in both):,} of {len(both):,} answers are the same."

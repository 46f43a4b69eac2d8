"""Cost of one call of a chain and of a row of `map`, beside the code before plans were kept.

The older code comes out of this repository's history, into a folder that is removed afterwards.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.calls import questions
from benchmarks.turns import HERE, OURS, Report, in_turns, least

BEFORE = "400e2b0"
"""The last commit where each call checked, compiled and optimized its chain again."""
MOST = 0.2
REVIEWS = """\
type Review { sentiment: "pos" | "neg" | "neu", score: int(1..5), quote: str? }
op read : generate -> Review { user = "Read this review: {{ query }}" }
main = 3:read >> M(by="sentiment")
"""
CHAINS = {
    "`E`": "E",
    "`3:E >> M`": "3:E >> M",
    "`3:E >> V >> J`": "3:E >> V >> J",
    "a file with a type, an op and a vote": REVIEWS,
}
OLD, NEW = BEFORE, "now"
NO_HISTORY = f"This checkout has no history that reaches back to {BEFORE}."


def table(*, quick: bool = False) -> str:
    rows, rounds = (3, 2) if quick else (200, 15)
    jobs = [
        {"text": text, "how": how, "rows": questions(rows, number * rows)}
        for number in range(rounds + 1)
        for text in CHAINS.values()
        for how in ("call", "map")
    ]
    with TemporaryDirectory() as folder:
        roots = roots_in(Path(folder))
        programs = {name: (OURS, "one_call.py", str(root)) for name, root in roots.items()}
        found = in_turns(programs, [jobs[0], *jobs])
    lines = [
        (
            "Microseconds of CPU for one call, `qa(row)`, and for one row of `qa.map(rows)`, the "
            f"fake engine answering; {rows} rows, the least of {rounds} rounds in turns with the "
            f"code of {BEFORE} (goal: a call at most {MOST:.0%} of its time before, a row of "
            "`map` no more than before)."
        ),
        "",
        f"| chain |  | {OLD} | now | beside {OLD} |",
        "|---|---|---:|---:|---:|",
    ]
    for name, text in CHAINS.items():
        for how, said in (("call", "a call"), ("map", "a row of `map`")):
            at = [n for n, job in enumerate(jobs) if (job["text"], job["how"]) == (text, how)][1:]
            reports = {one: chosen(found[one], at) for one in programs}
            first = name if how == "call" else ""
            lines.append(f"| {first} | {said} | {' | '.join(compared(reports, rows))} |")
    if OLD in programs:
        lines += ["", agreement(found[OLD], found[NEW])]
    else:
        lines += ["", NO_HISTORY]
    return "\n".join(lines)


def compared(reports: dict[str, list[Report]], rows: int) -> tuple[str, str, str]:
    """Return the cells of a row: the time before, the time now, and the one beside the other."""
    now = least(reports[NEW], "cpu") / rows * 1e6
    if OLD not in reports:
        return "", f"{now:,.0f}", ""
    assert all(len(one["answers"]) == rows for several in reports.values() for one in several)
    before = least(reports[OLD], "cpu") / rows * 1e6
    return f"{before:,.0f}", f"{now:,.0f}", f"{now / before:.2f}"


def agreement(before: list[Report], now: list[Report]) -> str:
    """Say how many answers are the same, as they are where a prompt has not changed since."""
    both = [
        pair
        for one, other in zip(before, now, strict=True)
        for pair in zip(one["answers"], other["answers"], strict=True)
    ]
    same = sum(one == other for one, other in both)
    what = "prompts of stages with a type, and of `V` and `J`, have changed since"
    return f"{same:,} of {len(both):,} answers are the same; {what}."


def chosen(reports: list[Report], at: list[int]) -> list[Report]:
    return [reports[number] for number in at]


def roots_in(folder: Path) -> dict[str, Path]:
    """Return the folders of the older package, if there is a history to take it from, and of this.

    The older one is put into a folder.
    """
    now = {NEW: HERE.parent}
    return {OLD: folder, **now} if unpacked(folder) else now


def unpacked(folder: Path) -> bool:
    """Put the older package into a folder; return whether there is a history to take it from."""
    command = ["git", "-C", str(HERE.parent), "archive", BEFORE, "chainlang", "grammar"]
    archive = subprocess.run(command, capture_output=True, check=False)
    if archive.returncode:
        print(archive.stderr.decode(), file=sys.stderr)
        return False
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return True

"""Many rows: from a file of JSON lines into a run folder, on the fake engine."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.one_call import BEFORE, NEW, NO_HISTORY, OLD, roots_in
from benchmarks.turns import OURS, Report, least, started

CHAIN = "2:E >> M"
ROUNDS = {10_000: 5, 100_000: 3, 1_000_000: 1}
"""Number of rounds by the number of rows."""
QUICK = {20: 1, 40: 1, 80: 1}
CLAIM = 500
GOAL = 2.1


def table(*, quick: bool = False) -> str:
    rounds = QUICK if quick else ROUNDS
    with TemporaryDirectory() as folder, TemporaryDirectory() as before:
        roots = roots_in(Path(before))
        found = {
            size: in_rounds(size, count, roots, Path(folder)) for size, count in rounds.items()
        }
    lines = [
        (
            f"`{CHAIN}` over rows with an id and a query, from JSON lines to a run folder of JSON "
            "lines, the fake engine answering, beside the code of "
            f"{BEFORE}, which writes no tables of stages. Each run is in a process of its own; of "
            "several rounds in turns it is the fastest (claim: at most "
            f"{CLAIM} MB, the same for every size, and time in proportion to the rows; goal: "
            f"{GOAL} times the rows a second of {BEFORE})."
        ),
        "",
        (
            f"| rows | rows a second, {BEFORE} | now | beside {BEFORE} "
            f"| µs of CPU for a row, {BEFORE} | now | a doubling costs | peak memory, MB |"
        ),
        "|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    now = [reports[NEW] for reports in found.values()]
    doublings = ["", *(f"{doubling(*two):.2f}" for two in pairwise(now))]
    for (size, reports), ratio in zip(found.items(), doublings, strict=True):
        rates = {name: size / least(several, "seconds") for name, several in reports.items()}
        costs = {name: least(several, "cpu") / size * 1e6 for name, several in reports.items()}
        before_rate = f"{rates[OLD]:,.0f}" if OLD in rates else ""
        times = f"{rates[NEW] / rates[OLD]:.2f}" if OLD in rates else ""
        before_cost = f"{costs[OLD]:,.0f}" if OLD in costs else ""
        peak = max(report["peak"] for report in reports[NEW])
        lines.append(
            f"| {size:,} | {before_rate} | {rates[NEW]:,.0f} | {times} | {before_cost} "
            f"| {costs[NEW]:,.0f} | {ratio} | {peak:.0f} |"
        )
    return "\n".join(lines if OLD in roots else [*lines, "", NO_HISTORY])


def in_rounds(
    size: int, count: int, roots: dict[str, Path], folder: Path
) -> dict[str, list[Report]]:
    """Return what runs over so many rows took, with the package of each folder in turns."""
    found: dict[str, list[Report]] = {name: [] for name in roots}
    for _ in range(count):
        for name, root in roots.items():
            found[name].append(measured(size, root, folder))
    return found


def measured(size: int, root: Path, folder: Path) -> Report:
    """Return what a run over so many rows took."""
    source = folder / "rows.jsonl"
    write_rows(source, size)
    with started("folder.py", OURS, "folder.py", str(root)) as program:
        report = program.run({"text": CHAIN, "source": str(source), "out": str(folder / "run")})
    assert (report["rows"], report["failed"]) == (size, 0)
    return report


def write_rows(source: Path, size: int) -> None:
    """Write so many rows, each with an id and a query."""
    with source.open("w") as file:
        for number in range(size):
            row = {"id": number, "query": f"What is {number % 90 + 10} + {number * 7 % 90 + 10}?"}
            file.write(json.dumps(row) + "\n")


def doubling(less: list[Report], more: list[Report]) -> float:
    """Return how many times the CPU twice the rows take."""
    times = math.log2(more[0]["rows"] / less[0]["rows"])
    ratio: float = least(more, "cpu") / least(less, "cpu")
    return ratio ** (1 / times)

"""Many rows: from a file of JSON lines into a run folder, on the fake engine."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.turns import OURS, Report, started

CHAIN = "2:E >> M"
SIZES = (10_000, 100_000, 1_000_000)
QUICK = (20, 40, 80)
CLAIM = 500


def table(*, quick: bool = False) -> str:
    sizes = QUICK if quick else SIZES
    with TemporaryDirectory() as folder:
        reports = [measured(size, Path(folder)) for size in sizes]
    lines = [
        (
            f"`{CHAIN}` over rows with an id and a query, from JSON lines to a run folder of JSON "
            "lines, the fake engine answering; each size in a process of its own (claim: at most "
            f"{CLAIM} MB, the same for every size, and time in proportion to the rows)."
        ),
        "",
        "| rows | rows a second | seconds of CPU | a doubling costs | peak memory, MB |",
        "|---:|---:|---:|---:|---:|",
    ]
    doublings = ["", *(f"{doubling(*two):.2f}" for two in pairwise(reports))]
    for report, ratio in zip(reports, doublings, strict=True):
        rate = report["rows"] / report["seconds"]
        lines.append(
            f"| {report['rows']:,} | {rate:,.0f} | {report['cpu']:.1f} | {ratio} "
            f"| {report['peak']:.0f} |"
        )
    return "\n".join(lines)


def measured(size: int, folder: Path) -> Report:
    """Return what a run over so many rows took."""
    source = folder / "rows.jsonl"
    write_rows(source, size)
    with started("folder.py", OURS, "folder.py") as program:
        report = program.run({"text": CHAIN, "source": str(source), "out": str(folder / "run")})
    assert (report["rows"], report["failed"]) == (size, 0)
    return report


def write_rows(source: Path, size: int) -> None:
    """Write so many rows, each with an id and a query."""
    with source.open("w") as file:
        for number in range(size):
            row = {"id": number, "query": f"What is {number % 90 + 10} + {number * 7 % 90 + 10}?"}
            file.write(json.dumps(row) + "\n")


def doubling(less: Report, more: Report) -> float:
    """Return how many times the CPU twice the rows take."""
    times = math.log2(more["rows"] / less["rows"])
    ratio: float = more["cpu"] / less["cpu"]
    return ratio ** (1 / times)

"""What has to be read again where the engine's cache holds a tenth of the prompts' blocks."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.chains import CONTEXT, SETTINGS, WORKLOADS, Workload, model, rows_of
from benchmarks.programs.counted import BLOCK
from benchmarks.turns import Report
from benchmarks.workloads import NAIVE, SCRIPT, contestants, peers, row

REPLY = 4
"""Blocks for the longest reply, so that the longest prompt has room for one."""
SHARE = 10
CLAIM = 1.10


def table(*, quick: bool = False) -> str:
    rows = rows_of(8, 40) if quick else rows_of(200, 500)
    lines = [
        (
            f"{len(rows)} rows: the prompt tokens that the engine had to read, where its cache "
            f"holds a tenth of the blocks of {BLOCK} tokens that there are in all prompts, "
            "beside the bound that no block is read twice (claim: at most "
            f"{CLAIM:.2f} times). What was read again of preempted samples is beside it; vLLM "
            "counts it nowhere, so of those that ask a server it is not known. Their bound is that "
            "of the script. Workloads whose prompts fill no block are left out: nothing of them "
            "can be kept."
        ),
        "",
        row(
            (
                "workload", "blocks in all", "in the cache", "", "computed", "beside the bound",
                "preemptions", "read again", "engine steps",
            )
        ),
        "|---|---:|---:|---|" + "---:|" * 5,
    ]  # fmt: skip
    with TemporaryDirectory() as temporary:
        folder = model(Path(temporary))
        with contestants(folder, SETTINGS, script=False) as found:
            large = {one: found[NAIVE].run(one, rows) for one in shared(quick)}
        for workload, before in large.items():
            if before["blocks"]:
                lines += measured(workload, before, folder, rows, quick)
    return "\n".join(lines)


def shared(quick: bool) -> list[Workload]:
    """Return the workloads that are looked at, each of another shape."""
    shapes = {one.program: one for one in WORKLOADS}
    return [shapes["document"]] if quick else [*shapes.values()]


def measured(
    workload: Workload, before: Report, folder: Path, rows: list[dict[str, Any]], quick: bool
) -> list[str]:
    """Return the lines of a workload."""
    blocks = max(before["blocks"] // SHARE, before["widest"] // BLOCK + REPLY)
    context = min(CONTEXT, (blocks - 1) * BLOCK)  # vLLM keeps one of them for itself
    settings = {**SETTINGS, "num_gpu_blocks_override": blocks, "max_model_len": context}
    lines = []
    with ExitStack() as stack:
        found = stack.enter_context(contestants(folder, settings, script=not quick))
        if not quick:
            found |= stack.enter_context(peers(folder, settings))
        taking = {name: one for name, one in found.items() if one.takes(workload, 1)}
        reports = {name: one.run(workload, rows) for name, one in taking.items()}
    head = [workload.name, f"{before['blocks']:,}", f"{blocks:,}"]
    for name, report in reports.items():
        least = report.get("least") or reports[SCRIPT]["least"]
        if found[name].server is None:
            assert report["answers"] == before["answers"], (workload.name, name)
        cells = (
            f"{report['computed']:,}", f"{report['computed'] / least:.2f}",
            f"{report['preempted']:,}", f"{report['again']:,}" if "again" in report else "",
            f"{report['steps']:,}",
        )  # fmt: skip
        lines.append(row([*head, name, *cells]))
        head = ["", "", ""]
    return lines

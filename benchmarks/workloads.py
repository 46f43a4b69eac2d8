"""What chains cost on vLLM: optimized, as they are written, and beside what else does the same."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import frozen

from benchmarks.chains import (
    REAL_WORKLOADS,
    SEATS,
    SETTINGS,
    WORKLOADS,
    Workload,
    job,
    model,
    rows_of,
)
from benchmarks.servers import Server, serving
from benchmarks.turns import OURS, THEIRS, Program, ProgramError, Report, median, started

BASE, NAIVE, SCRIPT = "chainlang", "chainlang, `passes=()`", "a script, `LLM.chat` by stages"
PEERS = {
    "LCEL": ("lcel_work.py", []),
    "DSPy": ("dspy_work.py", []),
    "distilabel": ("distilabel_work.py", ["extraction"]),
}
"""The program of each, and the workloads that can't be said in it."""
CROWDED, WHOLE = 1.15, 1.4
PATIENCE = 1
"""Rounds of those that ask a server, beside one to warm up."""
SWEPT = 9
"""The width of a sweep at which they take part."""


@frozen
class Contestant:
    """Who does the work, and how: a program, the plan that it is given, the server that it asks."""

    program: Program
    plan: Mapping[str, Any] = {}
    server: Server | None = None
    without: Collection[str] = ()
    """Workloads that can't be said in it."""

    def takes(self, workload: Workload, number: int) -> bool:
        """Return whether it takes part in a round; those that ask a server take long."""
        if self.server is None:
            return True
        if workload.program in self.without or (workload.sweep and workload.width != SWEPT):
            return False
        return number <= PATIENCE

    def run(self, workload: Workload, rows: list[dict[str, Any]]) -> Report:
        asked = job(workload, rows, **self.plan)
        if self.server is None:
            return self.program.run(asked)
        self.server.forget()
        before = self.server.counts()
        report = self.program.run(asked)
        after = self.server.counts()
        return {**report, **{name: after[name] - before[name] for name in after}}


def table(*, quick: bool = False) -> str:
    """Return the tables on the bundled model."""
    count, wide, rounds = (4, 40, 1) if quick else (200, 500, 2)
    shapes = {one.program: one for one in WORKLOADS}.values() if quick else WORKLOADS
    with TemporaryDirectory() as temporary:
        folder = model(Path(temporary))
        return measured(folder, shapes, rows=(count, wide), rounds=rounds)


def real_table(*, quick: bool = False) -> str:
    """Return the tables on SmolLM2."""
    from examples.real_model import real_model

    count, wide, rounds = (2, 40, 1) if quick else (8, 60, 1)
    return measured(real_model(), REAL_WORKLOADS, rows=(count, wide), rounds=rounds)


def measured(
    folder: Path, shapes: Iterable[Workload], *, rows: tuple[int, int], rounds: int
) -> str:
    """Return the tables of workloads on a model, over so many rows with documents of a width."""
    with ExitStack() as stack:
        found = stack.enter_context(contestants(folder, SETTINGS))
        found |= stack.enter_context(peers(folder, SETTINGS))
        begun = list(found)
        reports = {one: in_turns(one, found, *rows, rounds) for one in shapes}
    return "\n".join(
        [
            (
                f"{rows[0]} rows; vLLM on the CPU, in one thread, float32, at most {SEATS} samples "
                "in a batch, blocks of 32 tokens, the cache of prefixes empty at the start; "
                f"medians of rounds in turns ({rounds}), other rows in each. *Computed* are the "
                "prompt tokens that the engine had to read; the bound is that no block is read "
                "twice, and for those that ask a server it is the script's. Less than it is read "
                "where a turn follows a reply, whose blocks the engine has."
            ),
            "",
            *costs(reports),
            "",
            *(f"{name} ended before it was done.\n" for name in begun if name not in found),
            *steps(reports),
        ]
    )


@contextmanager
def contestants(
    folder: Path, settings: Mapping[str, Any], *, script: bool = True
) -> Iterator[dict[str, Contestant]]:
    """Start what does the work in its own process, on the model of a folder."""
    arguments = (str(folder), json.dumps(settings))
    with ExitStack() as stack:
        ours = stack.enter_context(started("chainlang", OURS, "vllm_work.py", *arguments))
        found = {BASE: Contestant(ours), NAIVE: Contestant(ours, {"passes": []})}
        if script:
            by_hand = stack.enter_context(started("script", OURS, "vllm_script.py", *arguments))
            found[SCRIPT] = Contestant(by_hand)
        yield found


@contextmanager
def peers(folder: Path, settings: Mapping[str, Any]) -> Iterator[dict[str, Contestant]]:
    """Start those that ask a server, if they are installed, and the server."""
    if not THEIRS.exists():
        yield {}
        return
    with ExitStack() as stack:
        server = stack.enter_context(serving(folder, settings))
        yield {
            name: Contestant(
                stack.enter_context(started(name, THEIRS, program, server.url)),
                server=server,
                without=without,
            )
            for name, (program, without) in PEERS.items()
        }


def in_turns(
    workload: Workload, found: dict[str, Contestant], count: int, wide: int, rounds: int
) -> dict[str, list[Report]]:
    """Return what each reports of each round, after one over few rows to warm up.

    Who asks a server and ends before it is done is taken out, and said to be at the end.
    """
    reports: dict[str, list[Report]] = {name: [] for name in found}
    for number in range(rounds + 1):
        rows = rows_of(count if number else min(count, 4), wide, number)
        names = [name for name, one in found.items() if one.takes(workload, number)]
        at = number % len(names)
        for name in names[at:] + names[:at]:
            try:
                report = found[name].run(workload, rows)
            except ProgramError as error:
                if found[name].server is None:
                    raise
                print(f"{workload.name}: {error}", file=sys.stderr)
                del found[name]
                continue
            if number:
                reports[name].append(report)
    for one, other in zip(reports[BASE], reports[NAIVE], strict=True):
        assert one["answers"] == other["answers"], workload.name
    return reports


# ---------------------------------------------------------------- the tables


def costs(reports: Mapping[Workload, Mapping[str, list[Report]]]) -> list[str]:
    head = (
        "workload", "", "seconds", "beside chainlang", "samples", "computed", "beside the bound",
        "steps", "preemptions", "equal answers", "rows that failed",
    )  # fmt: skip
    lines = [row(head), f"|---|---|{'---:|' * (len(head) - 2)}"]
    for workload, found in reports.items():
        title = f"{workload.name}: `{workload.chain.replace('|', '&#124;')}`"
        base = median(found[BASE], "seconds")
        for name, of in ((name, of) for name, of in found.items() if of):
            took = median(of, "seconds")
            both = zip(of, found[SCRIPT], strict=False)
            computed = [one["computed"] / one.get("least", other["least"]) for one, other in both]
            failed = sum(one["answers"].count(None) for one in of)
            cells = (
                f"{took:.2f}", f"{took / base:.2f}", f"{median(of, 'samples'):,.0f}",
                f"{median(of, 'computed'):,.0f}", f"{statistics.median(computed):.2f}",
                f"{median(of, 'steps'):,.0f}", f"{median(of, 'preempted'):,.0f}",
                agreement(found[NAIVE], of), f"{failed:,}",
            )  # fmt: skip
            lines.append(row([title, name, *cells]))
            title = ""
    return lines


def agreement(naive: Sequence[Report], of: Sequence[Report]) -> str:
    """Say how many answers are those of the chain as it is written."""
    both = [
        pair
        for one, other in zip(naive, of, strict=False)
        for pair in zip(one["answers"], other["answers"], strict=True)
    ]
    return f"{sum(one == other for one, other in both):,} of {len(both):,}"


def steps(reports: Mapping[Workload, Mapping[str, list[Report]]]) -> list[str]:
    """Return how many steps the engine took beside how few they could have been."""
    lines = [
        (
            "Engine steps, beside how few they could have been: the output tokens by the seats, "
            "the tokens in all by the budget of a step, or the longest way of a row as the script "
            f"goes it, whichever is most (claim: at most {CROWDED} times while requests wait, "
            f"{WHOLE} times over the whole run, and fewer than the script where there are several "
            "stages)."
        ),
        "",
        row(["workload", "", "steps", "beside the fewest", "while requests wait", "preemptions"]),
        f"|---|---|{'---:|' * 4}",
    ]
    for workload, found in reports.items():
        title, longest = workload.name, max(one["longest"] for one in found[SCRIPT])
        for name in (BASE, NAIVE, SCRIPT):
            of = found[name]
            whole = statistics.median(one["steps"] / max(one["fewest"], longest) for one in of)
            parts = [one["crowded"] for one in of if one["crowded"]["steps"]]
            crowded = [one["steps"] / one["fewest"] for one in parts]
            cells = (
                f"{median(of, 'steps'):,.0f}", f"{whole:.2f}",
                f"{statistics.median(crowded):.2f}" if crowded else "",
                f"{sum(one['preempted'] for one in of):,}",
            )  # fmt: skip
            lines.append(row([title, name, *cells]))
            title = ""
    return lines


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

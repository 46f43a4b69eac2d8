"""Going on with a run: how long it takes until the first row behind those that are done."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.one_call import BEFORE, NEW, NO_HISTORY, OLD, roots_in
from benchmarks.rows import CHAIN, write_rows
from benchmarks.turns import OURS, Report, started

SIZES = (10_000, 100_000, 1_000_000)
QUICK = (20, 40, 80)
MORE = 10
SECONDS, MEMORY, GOAL = 30, 300, 0.4


def table(*, quick: bool = False) -> str:
    with TemporaryDirectory() as folder, TemporaryDirectory() as before:
        roots = roots_in(Path(before))
        found = {
            size: {name: measured(size, root, Path(folder) / name) for name, root in roots.items()}
            for size in (QUICK if quick else SIZES)
        }
    lines = [
        (
            f"`{CHAIN}` over {MORE} rows more than a run folder has, the fake engine answering: "
            f"from the call to the first new row, beside the code of {BEFORE} (claim: at most "
            f"{SECONDS} seconds and {MEMORY} MB for a million; goal: {GOAL} of the time of "
            f"{BEFORE})."
        ),
        "",
        (
            f"| rows that are done | seconds to the first new row, {BEFORE} | now "
            f"| beside {BEFORE} | µs of CPU for a row that is done, {BEFORE} | now "
            "| peak memory, MB |"
        ),
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for size, reports in found.items():
        now, old = reports[NEW], reports.get(OLD)
        seconds, share, cost = "", "", ""
        if old is not None:
            seconds, share = f"{old['first']:.1f}", f"{now['first'] / old['first']:.2f}"
            cost = f"{old['first_cpu'] / size * 1e6:.1f}"
        lines.append(
            f"| {size:,} | {seconds} | {now['first']:.1f} | {share} | {cost} "
            f"| {now['first_cpu'] / size * 1e6:.1f} | {now['peak']:.0f} |"
        )
    return "\n".join(lines if OLD in roots else [*lines, "", NO_HISTORY])


def measured(size: int, root: Path, folder: Path) -> Report:
    """Return what going on with a run of so many rows took."""
    folder.mkdir(exist_ok=True)
    source, out = folder / "rows.jsonl", folder / f"run-{size}"
    for count, name in ((size, "folder.py"), (size + MORE, "resumed.py")):
        write_rows(source, count)
        settings = {"text": CHAIN, "source": str(source), "out": str(out)}
        with started(name, OURS, name, str(root)) as program:
            report = program.run(settings | ({"done": size} if count > size else {}))
    assert (report["rows"], report["drawn"]) == (MORE, 2 * MORE)
    return report

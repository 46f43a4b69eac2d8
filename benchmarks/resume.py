"""Going on with a run: how long it takes until the first row behind those that are done."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.rows import CHAIN, write_rows
from benchmarks.turns import OURS, Report, started

SIZES = (10_000, 100_000, 1_000_000)
QUICK = (20, 40, 80)
MORE = 10
SECONDS, MEMORY = 30, 500


def table(*, quick: bool = False) -> str:
    with TemporaryDirectory() as folder:
        found = {size: measured(size, Path(folder)) for size in (QUICK if quick else SIZES)}
    lines = [
        (
            f"`{CHAIN}` over {MORE} rows more than a run folder has, the fake engine answering: "
            f"from the call to the first new row (claim: at most {SECONDS} seconds and {MEMORY} MB "
            "for a million)."
        ),
        "",
        "| rows that are done | seconds to the first new row | peak memory, MB |",
        "|---:|---:|---:|",
    ]
    lines += [
        f"| {size:,} | {report['first']:.1f} | {report['peak']:.0f} |"
        for size, report in found.items()
    ]
    return "\n".join(lines)


def measured(size: int, folder: Path) -> Report:
    """Return what going on with a run of so many rows took."""
    source, out = folder / "rows.jsonl", folder / f"run-{size}"
    for count, name in ((size, "folder.py"), (size + MORE, "resumed.py")):
        write_rows(source, count)
        settings = {"text": CHAIN, "source": str(source), "out": str(out)}
        with started(name, OURS, name) as program:
            report = program.run(settings | ({"done": size} if count > size else {}))
    assert (report["rows"], report["drawn"]) == (MORE, 2 * MORE)
    return report

"""Print tables, and write each into README.md beside this file: all of them, or those named.

``--quick`` takes small sizes, to see that every table can be made, and writes nothing.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    cache,
    calls,
    described,
    ensemble,
    first_result,
    grammars,
    imports,
    long_queries,
    one_call,
    resume,
    rows,
    scaling,
    votes,
    warm,
    wide,
    workloads,
)

README = Path(__file__).parent / "README.md"
TABLES: dict[str, Callable[..., str]] = {
    "rows": rows.table,
    "resume": resume.table,
    "calls": calls.table,
    "one_call": one_call.table,
    "ensemble": ensemble.table,
    "first_result": first_result.table,
    "votes": votes.table,
    "workloads": workloads.table,
    "real_workloads": workloads.real_table,
    "cache": cache.table,
    "long_queries": long_queries.table,
    "described": described.table,
    "wide": wide.table,
    "grammars": grammars.table,
    "scaling": scaling.table,
    "imports": imports.table,
    "warm": warm.table,
}


def machine() -> str:
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}"
    return f"{python}, {system}, {cores} cores; the load was {load:.1f} at the start."


def write(name: str, text: str) -> None:
    """Put a table into its place in the README."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    page = README.read_text(encoding="utf-8")
    new, found = re.subn(
        f"{begin}.*{end}", lambda _: f"{begin}\n\n{text}\n\n{end}", page, flags=re.DOTALL
    )
    assert found == 1, f"{README} has no place for {name}"
    README.write_text(new, encoding="utf-8")


def main(arguments: list[str]) -> None:
    quick = "--quick" in arguments
    names = [one for one in arguments if one != "--quick"] or list(TABLES)
    for name in names:
        about = machine()
        text = f"{TABLES[name](quick=quick)}\n\n{about}"
        print(f"## {name}\n\n{text}\n", flush=True)
        if not quick:
            write(name, text)


if __name__ == "__main__":
    main(sys.argv[1:])

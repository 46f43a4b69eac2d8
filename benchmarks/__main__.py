"""Print the tables, and write them into README.md beside this file."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from benchmarks import imports, scaling

README = Path(__file__).parent / "README.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def machine() -> str:
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    python = f"{platform.python_implementation()} {platform.python_version()}"
    system = f"{platform.system()} {platform.machine()}"
    return f"{python}, {system}, {cores} cores; the load was {load:.1f} at the start."


def main() -> None:
    parts = [machine(), scaling.table(), imports.table()]
    text = "\n\n".join(parts)
    print(text)
    page = README.read_text(encoding="utf-8")
    block = f"{BEGIN}\n\n{text}\n\n{END}"
    new = re.sub(f"{BEGIN}.*{END}", lambda _: block, page, flags=re.DOTALL)
    README.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Many rows over servers that end at half: ``python -m tests.running.switched_rows 1000``."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.running.test_switching import ENDS, ended_at

if __name__ == "__main__":
    rows = int(sys.argv[1])
    for end in ENDS.values():
        with TemporaryDirectory() as folder:
            ended_at(end, Path(folder) / "run", rows, rows // 2)
    print(f"{rows:,} rows over each of {len(ENDS)} servers: no row failed")

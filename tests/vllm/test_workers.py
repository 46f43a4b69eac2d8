"""Two workers on vLLM, each with a core of its own: the bytes of one run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.scale.shards import files, written


@pytest.mark.slow
def test_two_workers_are_one_run(tmp_path: Path) -> None:
    rows = [
        {"id": str(number), "query": f"What is {number} + {9 * number}?"} for number in range(8)
    ]
    source = written(tmp_path / "rows.jsonl", rows)
    for out, more in (("one", []), ("two", ["--workers", "2"])):
        command = ["run", "3:E:tiny:0.7 >> M", "-i", str(source), "-o", str(tmp_path / out), *more]
        done = subprocess.run(
            [sys.executable, "-m", "chainlang", *command, "--no-use-warm"],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert files(tmp_path / "two") == files(tmp_path / "one")

"""Ctrl-C while a model is at work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

SOON = 60  # seconds that are waited: long, for a machine that is busy, but not as long as the run
ROOT = Path(__file__).parents[2]


def test_a_run_on_vllm_ends_soon_and_says_what_it_has(model: Path, tmp_path: Path) -> None:
    (tmp_path / "qa.chain").write_text(
        f'model m = vllm("{model}", max_num_seqs=2)\nmain = 4:E:m(min_tokens=900, max_tokens=900)\n'
    )
    rows = "".join(json.dumps({"query": f"question {n}"}) + "\n" for n in range(2000))
    (tmp_path / "rows.jsonl").write_text(rows)
    command = ["-m", "chainlang", "run", "qa.chain", "-i", "rows.jsonl", "-o", "out"]
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not (tmp_path / "out" / "plan.txt").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SOON)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err
    (said,) = (line for line in err.splitlines() if line.startswith("interrupted: "))
    assert "\nresults: out/flattened\n" in err
    metadata = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert metadata["status"] == "interrupted"
    assert said.startswith(f"interrupted: {metadata['rows']['read']:,} row")

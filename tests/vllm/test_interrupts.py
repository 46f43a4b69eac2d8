"""Ctrl-C while a model is at work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.laws import few_of

SOON = 300  # seconds that are waited: long, for a machine that is busy, but not as long as the run
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


# ---------------------------------------------------------------- while it is imported or loaded

# Ctrl-C is pressed when a module begins to be imported, or when the weights are read.
PRESSED = """
import importlib.abc, signal, sys
from chainlang import chain

times, moments = int(sys.argv[1]), sys.argv[2:]

def press():
    del moments[0]
    for _ in range(times):
        signal.raise_signal(signal.SIGINT)

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if moments and name == moments[0]:
            press()

def progress(message):
    if moments and message.startswith(moments[0]):
        press()

sys.meta_path.insert(0, Finder())
qa = chain("2:E:tiny:0.7 >> J:tiny")
for attempt in range(len(moments) + 1):
    try:
        print(qa("What is 17 + 25?", progress=progress).ok)
    except KeyboardInterrupt:
        print("interrupted")
    except Exception as error:
        print(type(error).__name__, error)
"""


def pressed(*moments: str, times: int = 1) -> list[str]:
    """Return what each attempt prints: one is interrupted at each moment, and the last is not."""
    found = subprocess.run(
        [sys.executable, "-c", PRESSED, str(times), *moments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.splitlines()


MOMENTS = (
    ("torch.fx", "loading"), ("torch",), ("vllm.envs",), ("transformers.generation",),
    ("vllm.v1.engine.llm_engine",),
)  # fmt: skip


@few_of("moments", 1, MOMENTS)
def test_one_while_vllm_is_imported_or_loaded_leaves_nothing_half_done(
    moments: tuple[str, ...],
) -> None:
    assert pressed(*moments) == [*("interrupted" for _ in moments), "True"]


@few_of("moment", 1, ("torch.fx", "vllm.v1.engine.llm_engine"))
def test_two_of_them_end_it_at_once_and_the_next_call_says_what_to_do(moment: str) -> None:
    first, second, *hints = pressed(moment, times=2)
    assert first == "interrupted"
    assert second.startswith("EngineError error[engine]: vLLM can't be used in this process: ")
    assert any("restart the kernel" in hint for hint in hints)

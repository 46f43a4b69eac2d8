"""A run that is killed while vLLM draws: what it goes on to has the same tokens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.crash.on_vllm import run, tokens
from tests.crash.reference import found
from tests.laws import seeds

ROOT = Path(__file__).parents[2]


@seeds(1)
def test_killed_between_steps_it_draws_the_same_tokens(tmp_path: Path, seed: int) -> None:
    whole = run(tmp_path / "whole")
    command = ["-m", "tests.crash.on_vllm", str(tmp_path / "killed"), "2", str(6 + seed)]
    subprocess.run([sys.executable, *command], cwd=ROOT, check=True)
    assert found(tmp_path / "killed").files == found(tmp_path / "whole").files
    assert tokens(tmp_path / "killed") == tokens(tmp_path / "whole")
    assert len(tokens(tmp_path / "whole")) == whole.usage.calls

"""Hash seeds, on which the order of sets depends, change nothing that a chain makes."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path

import pytest
from hypothesis import settings

from tests.laws import CI, SHALLOW

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.law
def test_three_hash_seeds_give_the_same_bytes() -> None:
    """As many values as the profile has examples of a shallow law, in each of three processes."""
    examples = settings().max_examples
    count = str(SHALLOW if examples == CI else examples)
    command = [sys.executable, "-m", "tests.laws.hash_seeds", count]
    processes = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in "012"
    ]
    printed = [process.communicate()[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(printed[0]) == int(count)
    for number, lines in enumerate(zip_longest(*printed)):
        assert lines[0] == lines[1] == lines[2], f"value {number}"

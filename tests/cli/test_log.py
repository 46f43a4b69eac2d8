"""``--log-format json``: whatever is told is a line of JSON, and nothing else is written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chainlang.cli import execute
from chainlang.cli.progress import LoggedProgress
from chainlang.display.progress import Status

CHAIN = 'model small = fake("x")\nunused = E:small\nmain = 2:E:small:0.7 >> M\n'
FINE, BAD = '{"id": "a", "query": "q"}\n', '{"id": "b"}\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.chain").write_text(CHAIN)
    Path("rows.jsonl").write_text(FINE + BAD + FINE.replace("a", "c"))


def logged(capfd: pytest.CaptureFixture[str], *arguments: str, status: int) -> list[dict[str, Any]]:
    """Return what a run logs."""
    command = ["run", "-i", "rows.jsonl", "-o", "out", "--log-format", "json", *arguments]
    assert execute(command) == status
    out, err = capfd.readouterr()
    assert out == ""
    found = [json.loads(line) for line in err.splitlines()]
    assert all(one["time"].endswith("+00:00") for one in found)
    return found


def test_warnings_failures_and_the_summary(capfd: pytest.CaptureFixture[str]) -> None:
    warning, error, summary = logged(capfd, "a.chain", status=1)
    assert (warning["event"], warning["code"]) == ("warning", "unused-definition")
    assert warning["start"] == {"offset": 24, "line": 2, "column": 1}
    assert (error["event"], error["code"]) == ("error", "row")
    assert error["message"].startswith("rows.jsonl, line 2: ")
    assert (summary["event"], summary["status"], summary["exit_status"]) == (
        "summary", "complete", 1,
    )  # fmt: skip
    assert (summary["rows"], summary["failed"], summary["usage"]["calls"]) == (3, 1, 4)
    assert summary["folder"] == "out"


def test_a_run_that_stops(capfd: pytest.CaptureFixture[str]) -> None:
    command = ("a.chain", "--run-calls", "2", "--window", "1")
    _, _, error, summary = logged(capfd, *command, status=3)
    assert (error["event"], error["code"]) == ("error", "stopped")
    assert error["message"] == "the budget run_calls=2 is used up"
    assert (summary["status"], summary["exit_status"], summary["rows"]) == ("stopped", 3, 2)


def test_errors_of_the_input(capfd: pytest.CaptureFixture[str]) -> None:
    (error,) = logged(capfd, "3:EE", status=2)
    assert (error["event"], error["code"]) == ("error", "unknown-name")
    found = logged(capfd, "a.chain", "--window", "0", "--seed", "x", status=2)
    assert [one.get("code") for one in found] == ["unused-definition", "setting", "setting"]


def test_progress(capfd: pytest.CaptureFixture[str]) -> None:
    show = LoggedProgress()
    show("tiny is ready")
    show(Status.of(2, 10, 1, 2 / 11, 10.0, 11.0, 44.0))
    note, reached = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert (note["event"], note["message"]) == ("note", "tiny is ready")
    del reached["time"]
    assert reached == {
        "event": "progress",
        "rows": 2,
        "expected": 10,
        "failed": 1,
        "rows_per_second": 2 / 11,
        "tokens_per_second": 10.0,
        "seconds_left": 44.0,
    }


def test_it_is_one_or_the_other(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        execute(["run", "E", "-i", "a", "-o", "b", "--json", "--log-format", "json"])
    assert "not allowed with argument" in capfd.readouterr().err


@pytest.mark.slow
def test_an_interruption() -> None:
    program = (
        "import sys\n"
        "from chainlang.engines.fake import FakeEngine\n"
        "FakeEngine.step = lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)\n"
        "from chainlang.cli import main\n"
        "main(['run', 'a.chain', '-i', 'rows.jsonl', '-o', 'out', '--log-format', 'json'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 130, done.stderr
    summary = json.loads(done.stderr.splitlines()[-1])
    assert (summary["status"], summary["exit_status"]) == ("interrupted", 130)

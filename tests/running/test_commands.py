"""``chainlang ask`` and ``chainlang run``, on the fake engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chainlang.cli import execute

FAKE = 'model f = fake("f")\nmain = 3:E:f:0.7 >> M\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vote.chain"
    path.write_text(FAKE)
    return path


def _rows(path: Path, count: int, extra: str = "") -> Path:
    lines = [json.dumps({"id": number, "query": f"question {number}"}) for number in range(count)]
    path.write_text("\n".join(lines) + "\n" + extra)
    return path


def test_ask_prints_the_answer(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["ask", str(file), "question 1"]) == 0
    answer = capsys.readouterr().out
    assert answer.strip().isdigit()
    assert execute(["ask", "--json", str(file), "question 1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["answer"] == answer.strip()
    assert found["usage"]["calls"] == 3


def test_run_writes_a_folder_and_a_summary(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = _rows(tmp_path / "rows.jsonl", 20)
    out = tmp_path / "out"
    assert execute(["run", str(file), "-i", str(rows), "-o", str(out), "--limit", "15"]) == 0
    assert "15 rows, 0 failed, 45 calls" in capsys.readouterr().err
    lines = (out / "flattened" / "000.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in lines] == [str(number) for number in range(15)]
    assert json.loads((out / "metadata.json").read_text())["status"] == "complete"


def test_rows_that_fail_end_with_1_and_are_listed(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = _rows(tmp_path / "rows.jsonl", 2, "no row\n")
    out = tmp_path / "out"
    assert execute(["run", str(file), "-i", str(rows), "-o", str(out)]) == 1
    assert "3 rows, 1 failed" in capsys.readouterr().err
    failures = (out / "errors.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in failures] == [3]


@pytest.mark.parametrize(
    ("chain", "rows", "message"),
    [
        ("3:EE >> M", "rows.jsonl", "unknown stage type 'EE'"),
        ("E:f", "missing.jsonl", "there is no such file"),
        ("E:f", "empty.jsonl", "this file is empty"),
    ],
)
def test_bad_input_ends_with_2_and_writes_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    chain: str,
    rows: str,
    message: str,
) -> None:
    _rows(tmp_path / "rows.jsonl", 2)
    (tmp_path / "empty.jsonl").touch()
    out = tmp_path / "out"
    file = tmp_path / "x.chain"
    file.write_text(f'model f = fake("f")\nmain = {chain}\n')
    assert execute(["run", str(file), "-i", str(tmp_path / rows), "-o", str(out)]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_another_run_that_is_there_is_not_overwritten(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = _rows(tmp_path / "rows.jsonl", 2)
    command = ["run", str(file), "-i", str(rows), "-o", str(tmp_path / "out")]
    assert execute(command) == 0
    assert execute(command) == 0
    assert "from the journal: 6 samples" in capsys.readouterr().err
    command += ["--seed", "8"]
    assert execute(command) == 2
    assert "seed was 0 and is now 8" in capsys.readouterr().err
    assert execute([*command, "--overwrite"]) == 0

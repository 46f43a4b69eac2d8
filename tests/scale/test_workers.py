"""Runs in several processes: equal to one run, with workers that die, and ended by Ctrl-C."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chainlang.cli import execute
from chainlang.scale.devices import gpus
from chainlang.scale.workers import Note, Workers
from tests.scale.shards import assert_equal, files, metadata, rows, written

# A worker waits in its sixth call while there is a file `hold`; the first one that comes to its
# twentieth while there is a file `die` is killed.
FUNCTIONS = """
import contextlib, os, pathlib, signal, time

def held(candidates: list[str]) -> str:
    number = next(COUNT)
    while number == 5 and os.path.exists("hold"):
        pathlib.Path(f"held-{os.getpid()}").touch()
        time.sleep(0.01)
    if number == 19:
        with contextlib.suppress(FileNotFoundError):
            os.unlink("die")
            os.kill(os.getpid(), signal.SIGKILL)
    return candidates[0]

COUNT = iter(range(10**6))
"""

_AS_IN_A_SHELL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from chainlang.cli import main
main()
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    (tmp_path / "qa.chain").write_text('model m = fake("m")\nmain = 2:E:m >> @held\n')
    written(tmp_path / "rows.jsonl", rows(120))
    return tmp_path


def words(out: str, *more: str) -> list[str]:
    return [
        *("run", "qa.chain", "-i", "rows.jsonl", "-o", out, "--functions", "functions.py"),
        *more,
    ]


def started(out: str, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        # A process of a background job ignores Ctrl-C, and so would its children.
        [sys.executable, "-c", _AS_IN_A_SHELL, *words(out, *more)],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip


@pytest.mark.slow
def test_workers_are_one_run_although_one_dies(home: Path) -> None:
    assert execute(words("one")) == 1  # rows that can't be read fail
    (home / "die").touch()
    process = started("a", "--workers", "2", "--format", "csv")
    _, said = process.communicate()
    assert process.returncode == 1, said
    assert "died (SIGKILL), and is started again" in said
    assert not (home / "die").exists()
    assert "error[" in said
    assert "120 rows, 2 failed, " in said
    assert (home / "a" / "flattened" / "000.csv").exists()
    assert execute(words("a", "--workers", "2")) == 1  # passes the shards, and merges anew
    assert_equal(home / "a", home / "one", was_killed=True)


@pytest.mark.slow
def test_ctrl_c_ends_all_workers_in_order(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "hold").touch()
    process = started("a", "--workers", "2", "--log-format", "json")
    shards = [home / "a" / f"shard-000{number}-of-0002" for number in (1, 2)]
    while len([*home.glob("held-*")]) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    (last,) = (line for line in map(json.loads, said.splitlines()) if line["event"] == "summary")
    assert (last["status"], last["exit_status"]) == ("interrupted", 130)
    assert execute(["runs", "resume", "a", "-i", "rows.jsonl"]) == 2
    assert "to merge them: chainlang merge a" in capsys.readouterr().err
    assert {metadata(one)["status"] for one in shards} == {"interrupted"}
    (home / "hold").unlink()
    assert execute(words("one")) == execute(words("a", "--workers", "2")) == 1
    assert files(home / "a") == files(home / "one")


_FAILING = """
import pathlib, sys, time
while not pathlib.Path("ending").exists():
    time.sleep(0.01)
sys.exit(2)
"""
_STARTING = """
import pathlib, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
while not pathlib.Path("interrupted").exists():
    time.sleep(0.01)
from chainlang.cli import main
main(["check", "qa.chain"])
"""
_ENDING = """
import pathlib, signal, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from chainlang.cli import main
try:
    main(["check", "qa.chain"])
finally:
    pathlib.Path("ending").touch()
    while not pathlib.Path("interrupted").exists():
        time.sleep(0.01)
"""


@pytest.mark.slow
def test_an_interrupt_while_python_starts_or_ends_prints_no_traceback(home: Path) -> None:
    class Interrupting(Workers):
        def end(self) -> None:
            super().end()
            (home / "interrupted").touch()

    programs, heard = [_FAILING, _STARTING, _ENDING], list[Note]()
    workers = Interrupting(
        3, lambda number, _: [sys.executable, "-c", programs[number - 1]], heard.append, "mark"
    )
    assert workers.run() == {1: 2, 2: 130, 3: 0}
    assert [one.text for one in heard if "Traceback" in one.text] == []


AUTO = """
model m = fake("m")
main = 9:E:m(samples=auto("How many drafts?", "int(2..5)"), temperature=auto("How hot?")) >> M
"""


_LEAVING = """
import os, pathlib, signal, subprocess, sys
if not pathlib.Path("left").exists():
    left = subprocess.Popen(["sleep", "600"])
    pathlib.Path("left").write_text(str(left.pid))
    print("last words", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_worker_that_dies_is_started_again_while_a_process_of_it_lives(home: Path) -> None:
    said: list[Note] = []
    command = [sys.executable, "-c", _LEAVING]
    assert Workers(1, lambda _, __: command, said.append, "mark").run() == {1: 0}
    os.kill(int((home / "left").read_text()), signal.SIGKILL)  # it would be gone else
    assert [(one.event, one.text) for one in said] == [("", "last words"), ("died", "")]


# The first worker that imports it while there is a file `die` is killed, before a run begins.
_DYING = """
import contextlib, os, pathlib, signal, sys

if "--worker" in sys.argv:
    with contextlib.suppress(FileNotFoundError):
        os.unlink("die")
        os.kill(os.getpid(), signal.SIGKILL)

def held(candidates: list[str]) -> str:
    if not pathlib.Path("ready").exists():
        raise ValueError("not ready")
    return candidates[0]
"""


@pytest.mark.slow
@pytest.mark.parametrize("flag", ["--retry-failed", "--overwrite"])
def test_a_worker_that_dies_before_it_has_begun_does_not_forget_what_it_is_for(
    home: Path, flag: str
) -> None:
    (home / "functions.py").write_text(_DYING)
    written(home / "rows.jsonl", [{"id": number, "query": "q"} for number in range(8)])
    assert execute(words("a", "--workers", "2")) == 1
    assert metadata(home / "a")["rows"]["failed"] == 8
    (home / "ready").touch()
    (home / "die").touch()
    assert execute(words("a", "--workers", "2", flag)) == 0
    assert not (home / "die").exists()
    assert metadata(home / "a")["rows"]["failed"] == 0


@pytest.mark.slow
def test_values_are_decided_once_before_the_workers_start(home: Path) -> None:
    (home / "auto.chain").write_text(AUTO)
    run = ["run", "auto.chain", "-i", "rows.jsonl", "-o"]
    assert execute([*run, "one", "--seed", "3"]) == 1
    assert execute([*run, "two", "--seed", "3", "--workers", "2"]) == 1
    assert_equal(home / "two", home / "one")
    decided = (home / "one" / "auto.json").read_bytes()
    for name in ("auto.json", "metadata.json"):  # as if killed in the merge
        (home / "two" / name).unlink()
    assert execute([*run, "two", "--seed", "3", "--workers", "2"]) == 1
    assert_equal(home / "two", home / "one")
    assert (home / "two" / "shard-0002-of-0002" / "auto.json").read_bytes() == decided
    shutil.rmtree(home / "two" / "shard-0001-of-0002")  # a shard by hand takes what is decided
    assert execute([*run, "two", "--seed", "3", "--shard", "1/2"]) == 0
    assert execute(["merge", "two"]) == 1
    assert_equal(home / "two", home / "one")


@pytest.mark.slow
def test_values_of_another_chain_do_not_stay(home: Path) -> None:
    (home / "auto.chain").write_text(AUTO)
    (home / "qa.chain").write_text('model m = fake("m")\nmain = 2:E:m >> M\n')
    (home / "two").mkdir()
    assert execute(["run", "auto.chain", "-i", "rows.jsonl", "-o", "one", "--limit", "2"]) == 0
    (home / "one" / "auto.json").rename(home / "two" / "auto.json")  # as if killed after it
    assert execute(["run", "qa.chain", "-i", "rows.jsonl", "-o", "two", "--workers", "2"]) == 1
    assert not (home / "two" / "auto.json").exists()


def test_values_without_a_run_do_not_hold_back_a_run(home: Path) -> None:
    (home / "auto.chain").write_text(AUTO)
    assert execute(["run", "auto.chain", "-i", "rows.jsonl", "-o", "one"]) == 1
    (home / "two").mkdir()
    (home / "one" / "auto.json").rename(home / "two" / "auto.json")
    assert execute(["run", "auto.chain", "-i", "rows.jsonl", "-o", "two"]) == 1
    (home / "three").mkdir()
    (home / "three" / "auto.json").write_text("{}")  # of another program
    assert execute(["run", "auto.chain", "-i", "rows.jsonl", "-o", "three"]) == 2


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("text", "page"),
    [
        ("main = 2:E:m >> MM", "unknown stage type 'MM'"),
        ("main = 2:E:m >> @no", "unknown function"),
        ('model m = openai("m", base_url="http://127.0.0.1:9/v1")\nmain = E:m', "no server"),
        ('main = E(temperature=auto("How hot?"), model="none:x")', "none"),
    ],
    ids=["stage type", "function", "server", "auto"],
)
def test_an_error_that_all_workers_have_is_shown_once(
    home: Path, capfd: pytest.CaptureFixture[str], text: str, page: str
) -> None:
    (home / "qa.chain").write_text(text)
    assert execute(words("one")) == 2
    alone = capfd.readouterr().err.replace("one/", "two/")
    assert page in alone
    assert execute(words("two", "--workers", "2")) == 2
    assert capfd.readouterr().err == alone
    assert not (home / "two" / "graph.json").exists()


@pytest.mark.slow
def test_a_worker_that_finds_no_rows_ends_the_run(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", "qa.chain", "-i", "none.jsonl", "-o", "a", "--workers", "2"]
    assert execute([*arguments, "--functions", "functions.py"]) == 2
    assert capsys.readouterr().err.count("none.jsonl") == 1
    assert not (home / "a" / "graph.json").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--workers", "0"], "at least one worker"),
        (["--workers", "2", "--run-calls", "5"], "--run-calls is for one process"),
        (["--workers", "2", "--shard", "1/2"], "--shard is for one process"),
        (["--workers", "2", "--analyze"], "--analyze is for one process"),
        (["--workers", "2", "-i", "-"], "can't share stdin or stdout"),
        (["--shard", "1/2", "-o", "-"], "--shard is for a run folder"),
    ],
    ids=" ".join,
)
def test_what_workers_can_not_share(
    home: Path, capsys: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    assert execute(words("a", *more)) == 2
    assert message in capsys.readouterr().err
    assert not (home / "a").exists()


def test_workers_do_not_begin_where_another_run_is(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(words("a", "--limit", "2")) == 0
    before = files(home / "a")
    assert execute(words("a", "--workers", "2", "--limit", "2")) == 2
    assert "a: this folder contains a run" in capsys.readouterr().err
    assert files(home / "a") == before
    assert not [*(home / "a").glob("shard-*")]


def test_gpus_are_those_that_the_variable_names() -> None:
    assert gpus({"CUDA_VISIBLE_DEVICES": "0, GPU-7f"}) == ["0", "GPU-7f"]
    assert gpus({"CUDA_VISIBLE_DEVICES": ""}) == gpus({"CUDA_VISIBLE_DEVICES": "-1"}) == []
    assert os.cpu_count()

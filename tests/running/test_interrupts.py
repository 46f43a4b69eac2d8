"""Ctrl-C: a run ends soon, keeps whole rows, and says how many and where."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.interrupts import interrupts_deferred, interrupts_recorded
from chainlang.protocol.messages import Completion, Delta, Failure
from chainlang.session.summary import Interrupted

SOON = 60  # seconds that are waited: long, for a machine that is busy, but not as long as the run
ROOT = Path(__file__).parents[2]

# A model that answers ten rows at once, says so, and then takes longer than any test.
SLOW = """
import sys, time
from chainlang.engines import fake

class Slow(fake.FakeEngine):
    def step(self, until=None):
        if self.answered == 10:
            print("waiting", flush=True)
            time.sleep(600)
        self.answered += 1
        self.pending = [*getattr(self, "pending", []), *super().step(until)]
        return [self.pending.pop(0)]

    answered = 0

fake.FakeEngine = Slow
from chainlang.store.run_folder import RunFolder

if "stuck" in sys.argv:
    sys.argv.remove("stuck")
    finish = RunFolder.finish
    def stuck(*arguments):
        print("finishing", flush=True)
        time.sleep(600)
    RunFolder.finish = stuck
from chainlang.cli import main
main()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "qa.chain").write_text('model f = fake("f")\nmain = E:f >> M\n')
    rows = "".join(json.dumps({"query": f"question {n}"}) + "\n" for n in range(1000))
    (tmp_path / "rows.jsonl").write_text(rows)
    (tmp_path / "slow.py").write_text(SLOW)
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Iterator[subprocess.Popen[str]]:
    yield from started(folder)


@pytest.fixture
def stuck(folder: Path) -> Iterator[subprocess.Popen[str]]:
    yield from started(folder, "stuck")


def started(folder: Path, *extra: str) -> Iterator[subprocess.Popen[str]]:
    command = ["run", "qa.chain", "-i", "rows.jsonl", "-o", "out"]
    process = subprocess.Popen(
        [sys.executable, "slow.py", *extra, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert process.stdout.readline().strip() == word


@pytest.mark.slow
def test_a_run_ends_soon_and_says_what_it_has(run: subprocess.Popen[str], folder: Path) -> None:
    until(run, "waiting")
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=SOON)
    assert run.returncode == 130
    assert "\ninterrupted: 10 rows, 0 failed, 10 calls" in err  # after what it warns of
    assert err.endswith("results: out/flattened\nto resume, run the same command again\n")
    lines = (folder / "out" / "flattened" / "000.jsonl").read_text().splitlines()
    assert [json.loads(line)["query"] for line in lines] == [f"question {n}" for n in range(10)]
    metadata = json.loads((folder / "out" / "metadata.json").read_text())
    assert metadata["status"] == "interrupted"
    assert metadata["rows"]["read"] == 10


class Swallowing(FakeEngine):
    """An engine in whose third step Ctrl-C is pressed, and the exception goes nowhere."""

    steps = 0

    def step(self, until: float | None = None) -> list[Completion | Failure | Delta]:
        self.steps += 1
        if self.steps == 3:
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        return super().step(until)


def test_one_that_something_swallows_ends_the_run_too(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    rows = [{"query": f"question {number}"} for number in range(50)]
    with pytest.raises(Interrupted) as caught:
        chain("E").run(rows, tmp_path / "out", engine=Swallowing(), window=1)
    assert caught.value.summary.rows < 4
    assert signal.getsignal(signal.SIGINT) is before
    summary = chain("E").run(rows, tmp_path / "out", engine=FakeEngine())  # and it is over
    assert summary.rows == 50


@pytest.mark.slow
def test_a_second_one_ends_it_at_once(stuck: subprocess.Popen[str]) -> None:
    until(stuck, "waiting")
    stuck.send_signal(signal.SIGINT)
    until(stuck, "finishing")
    stuck.send_signal(signal.SIGINT)
    stuck.communicate(timeout=SOON)
    assert stuck.returncode == 130


# ---------------------------------------------------------------- in Python


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_interrupted_run_has_what_it_came_to(tmp_path: Path) -> None:
    def on_row(outcome: object, expected: float | None) -> None:
        if len(heard) == 6:
            interrupt()
        heard.append(outcome)

    heard: list[object] = []
    with pytest.raises(Interrupted) as caught:
        chain("E").run(map(str, range(100)), tmp_path / "out", engine=FakeEngine(), on_row=on_row)
    assert caught.value.summary.rows == 7
    metadata = json.loads((tmp_path / "out" / "metadata.json").read_text())
    assert (metadata["status"], metadata["rows"]["read"]) == ("interrupted", 7)


@pytest.mark.parametrize(("interrupts", "reached"), [(1, [1, 2, 3]), (2, [1]), (3, [1])])
def test_an_interrupt_waits_for_the_end_of_the_block_and_a_second_one_does_not(
    interrupts: int, reached: list[int]
) -> None:
    done = []

    def block() -> None:
        with interrupts_deferred():
            for number in (1, 2, 3):
                if number <= interrupts:
                    interrupt()
                done.append(number)

    with pytest.raises(KeyboardInterrupt):
        block()
    assert done == reached


@pytest.mark.slow
def test_what_takes_too_long_at_the_end_is_left() -> None:
    text = """
from threading import Event
from chainlang.cli.interrupt import bounded
with bounded(60):
    pass
print("closing", flush=True)
with bounded(0.1):
    Event().wait()
print("closed", flush=True)
"""
    found = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (130, "closing\n")


@pytest.mark.parametrize(("interrupts", "reached"), [(1, [1, 2, 3]), (2, [1])])
def test_in_a_run_the_handler_of_the_program_is_called_for_each(
    interrupts: int, reached: list[int]
) -> None:
    calls, done = list[int](), list[int]()

    def handler(number: int, _: object) -> None:
        calls.append(number)
        raise KeyboardInterrupt

    def run() -> None:
        with interrupts_recorded(), interrupts_deferred():
            assert signal.getsignal(signal.SIGINT) is not handler
            for number in (1, 2, 3):
                if number <= interrupts:
                    interrupt()
                done.append(number)

    before = signal.signal(signal.SIGINT, handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run()
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert (done, calls) == (reached, [signal.SIGINT] * interrupts)


def test_without_an_interrupt_nothing_changes() -> None:
    before = signal.getsignal(signal.SIGINT)
    with interrupts_deferred():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_hold_nothing() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def body() -> None:
        with interrupts_deferred():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert seen == [before]

"""A run that ended early goes on: nothing is drawn twice, and the files are those of one run."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import RowError, SourceError, StopError
from chainlang.protocol.messages import Completion, Delta, Failure, Request
from chainlang.session.summary import Summary
from chainlang.store.journal import Journal
from chainlang.store.safe_files import Folder
from tests.store.test_folder import files

CHAIN = "((one = 2:E) & (vote = 3:E >> M)) >> (J | retry(V::0.5, times=2))"
ROWS = [{"id": f"r{number}", "query": f"What is {number} + 1?"} for number in range(20)]


class Counting(FakeEngine):
    """Counts samples, and interrupts the run at a step."""

    def __init__(self, last: int | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.last, self.samples, self.steps = last, 0, 0

    def step(self, until: float | None = None) -> list[Completion | Failure | Delta]:
        self.steps += 1
        if self.last is not None and self.steps > self.last:
            raise KeyboardInterrupt
        found = super().step(until)
        self.samples += sum(one.usage.calls for one in found if isinstance(one, Completion))
        return found


def latency(request: Request) -> float:
    return 1.0 + request.seed % 5


def ran(path: Path, engine: FakeEngine, text: str = CHAIN, **settings: Any) -> Summary:
    return chain(text).run(ROWS, path, engine=engine, window=4, **settings)


def plain(path: Path) -> dict[str, bytes]:
    """Return what a run has written, but for what tells when."""
    return {name: data for name, data in files(path).items() if name != "metadata.json"}


@pytest.mark.slow
@pytest.mark.parametrize("format", ["jsonl", "csv", "parquet"])
def test_a_run_goes_on_wherever_it_ended(tmp_path: Path, format: str) -> None:  # noqa: A002
    whole = Counting(latency=latency)
    ran(tmp_path / "whole", whole, format=format)
    for last in range(0, whole.steps, 7):
        path = tmp_path / f"run-{last}"
        first = Counting(last, latency=latency)
        with pytest.raises(KeyboardInterrupt):
            ran(path, first, format=format)
        second = Counting(latency=latency)
        summary = ran(path, second, format=format)
        assert plain(path) == plain(tmp_path / "whole")
        # Fewer, where equal prompts at temperature 0 were drawn twice because they met in flight.
        assert first.samples + second.samples <= whole.samples
        assert bool(summary.recorded) == bool(first.samples)
        assert summary.usage.calls == whole.samples


def test_a_run_that_is_done_asks_for_nothing(tmp_path: Path) -> None:
    ran(tmp_path, Counting(latency=latency))
    before = plain(tmp_path)
    again = Counting(latency=latency)
    ran(tmp_path, again)
    assert again.submitted == 0
    assert plain(tmp_path) == before


def test_an_edited_judge_runs_the_judge_alone(tmp_path: Path) -> None:
    ran(tmp_path, Counting(), "5:E >> J")
    edited = Counting()
    summary = ran(tmp_path, edited, "5:E >> J(top_p=0.9)", changed=True)
    assert (edited.samples, summary.recorded) == (20, 100)
    wider = Counting()
    ran(tmp_path, wider, "7:E >> J(top_p=0.9)", changed=True)
    assert wider.samples == 20 * 2 + 20  # two more answers, and judgements of other prompts


def test_a_failure_is_asked_for_again_when_asked(tmp_path: Path) -> None:
    lost = Counting(failures=lambda request: Failure("", "refused", "no"))
    assert ran(tmp_path, lost, "E").failed == 20
    same = Counting()
    assert (ran(tmp_path, same, "E").failed, same.submitted) == (20, 0)
    summary = ran(tmp_path, Counting(), "E", changed=True)
    assert (summary.failed, summary.recorded) == (0, 0)


def test_a_model_that_was_down_is_asked_again(tmp_path: Path) -> None:
    down = Counting(failures=lambda request: Failure("", "transport", "down", transient=True))
    with pytest.raises(StopError, match="the model 'tiny' is unavailable after"):
        ran(tmp_path, down, "E")
    summary = ran(tmp_path, Counting(), "E")
    assert (summary.failed, summary.recorded) == (0, 0)


def test_a_failure_that_ended_the_run_is_not_done(tmp_path: Path) -> None:
    def down(request: Request) -> Failure | None:
        ends = "What is 7 +" in request.messages[-1].text
        return Failure("", "transport", "down", transient=True) if ends else None

    with pytest.raises(RowError, match="down"):
        ran(tmp_path, Counting(failures=down), "E", on_error="raise")
    assert len((tmp_path / "errors.jsonl").read_bytes().splitlines()) == 1
    again = Counting()
    summary = ran(tmp_path, again, "E", on_error="raise")
    assert (summary.rows, summary.failed, again.samples + summary.recorded) == (20, 0, 20)


def test_rows_that_are_done_are_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chainlang.store.run_folder.NOTE_SECONDS", 0.0)
    called: list[str] = []

    def count(answer: str) -> str:
        called.append(answer)
        return answer

    text = chain("E >> @count").bind(count=count)
    with pytest.raises(KeyboardInterrupt):
        text.run(ROWS, tmp_path, engine=Counting(7, latency=latency), window=4)
    done = json.loads((tmp_path / "metadata.json").read_text())["rows"]["read"]
    before = len(called)
    assert 0 < done <= before < 20
    text.run(ROWS, tmp_path, engine=Counting(), window=4)
    assert len(called) == before + 20 - done


def test_an_id_is_that_of_a_row_that_is_done(tmp_path: Path) -> None:
    chain("E").run(ROWS[:10], tmp_path, engine=FakeEngine())
    summary = chain("E").run([*ROWS[:10], ROWS[3], *ROWS[11:]], tmp_path, engine=FakeEngine())
    assert (summary.rows, summary.failed) == (20, 1)
    assert "row 4 has the id 'r3' too" in (tmp_path / "errors.jsonl").read_text()


@pytest.mark.parametrize(
    "rows", [[{"id": "r0", "query": "another"}, *ROWS[1:]], ROWS[1:], ROWS[:5], []]
)
def test_another_input_is_refused_unless_asked_for(
    tmp_path: Path, rows: list[dict[str, str]]
) -> None:
    ran(tmp_path, FakeEngine(), "E")
    before = files(tmp_path)
    with pytest.raises(SourceError, match="the first 20 rows of the input are not those"):
        chain("E").run(rows, tmp_path, engine=FakeEngine())
    assert files(tmp_path) == before
    summary = chain("E").run(rows, tmp_path, engine=FakeEngine(), changed=True)
    assert summary.rows == len(rows)


SCRIPT = """
import sys
from tests.running.test_resume import CHAIN, ROWS, Counting, latency, chain

class Telling(Counting):
    def step(self, until=None):
        print(flush=True)
        return super().step(until)

chain(CHAIN).run(ROWS, sys.argv[1], engine=Telling(latency=latency), window=4)
"""


@pytest.mark.slow
def test_killed_at_any_moment_it_loses_nothing(tmp_path: Path) -> None:
    whole = Counting(latency=latency)
    ran(tmp_path / "whole", whole)
    path, kills, draws = tmp_path / "run", 0, random.Random(7)
    for _ in range(4):
        command = [sys.executable, "-c", SCRIPT, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(draws.randrange(12)):  # steps
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
        kills += process.returncode == -signal.SIGKILL
    last = Counting(latency=latency)
    summary = ran(path, last)
    assert plain(path) == plain(tmp_path / "whole")
    assert kills  # the last ones may come too late: there is little left to do
    assert summary.usage.calls == whole.samples
    assert summary.recorded > 0
    folder = Folder.open(path)
    journal = Journal.open(folder)
    assert len(journal) <= whole.samples
    journal.close()
    folder.close()


def test_two_processes_on_one_run(tmp_path: Path) -> None:
    class Meanwhile(Counting):
        def step(self, until: float | None = None) -> list[Completion | Failure | Delta]:
            with pytest.raises(SourceError, match="another run is writing to this folder"):
                ran(tmp_path, FakeEngine(), "E")
            return super().step(until)

    assert ran(tmp_path, Meanwhile(), "E").failed == 0

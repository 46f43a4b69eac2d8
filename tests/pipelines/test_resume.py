"""A run of steps that is killed goes on at the step that it was in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chainlang import load
from chainlang.protocol.messages import Request
from tests.running.test_resume import Counting

ROOT = Path(__file__).parents[2]
TEXT = """
name: p
steps:
  - {id: step1, action: generate, parameters: {prompt: "one {{ query }}"}}
  - {id: step2, action: generate, parameters: {prompt: "two {{ steps.step1.output }}"}}
  - {id: step3, action: generate, parameters: {prompt: "three {{ steps.step2.output }}"}}
"""


def test_a_run_goes_on_at_the_third_step(tmp_path: Path) -> None:
    asked: list[str] = []

    def answers(request: Request, _index: int) -> str:
        asked.append(request.messages[-1].text)
        return asked[-1]

    made = load(text=TEXT, format="yaml")
    with pytest.raises(KeyboardInterrupt):
        made.run(["q"], tmp_path, engine=Counting(2, answers=answers))
    del asked[:]
    summary = made.run(["q"], tmp_path, engine=Counting(answers=answers))
    assert asked == ["three two one q"]
    assert summary.recorded == 2
    assert summary.resumed == "row 1 went on at step3"
    assert not made.run(["q"], tmp_path, engine=Counting(answers=answers)).resumed


KILLED = f"""
import os, sys
from chainlang import load
from tests.running.test_resume import Counting

class Killed(Counting):
    def submit(self, requests):
        if self.samples == 2:
            os.kill(os.getpid(), 9)
        super().submit(requests)

load(text={TEXT!r}, format="yaml").run(["q"], sys.argv[1], engine=Killed())
"""


@pytest.mark.slow
def test_a_run_that_is_killed_says_where_it_goes_on(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    engine = Counting()
    summary = load(text=TEXT, format="yaml").run(["q"], tmp_path, engine=engine)
    assert (engine.samples, summary.resumed) == (1, "row 1 went on at step3")


def test_a_text_and_its_file_are_one_run(tmp_path: Path) -> None:
    made = load(text=TEXT, format="yaml")
    made.run(["q"], tmp_path, engine=Counting())
    again = Counting()
    load(text=str(made)).run(["q"], tmp_path, engine=again)
    assert again.samples == 0

"""A run of steps that is killed goes on at the step that it was in."""

from __future__ import annotations

from pathlib import Path

import pytest

from chainlang import load
from chainlang.protocol.messages import Request
from tests.running.test_resume import Counting

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


def test_a_text_and_its_file_are_one_run(tmp_path: Path) -> None:
    made = load(text=TEXT, format="yaml")
    made.run(["q"], tmp_path, engine=Counting())
    again = Counting()
    load(text=str(made)).run(["q"], tmp_path, engine=again)
    assert again.samples == 0

"""HumanEval in the sandboxes: 20 problems; `make soak` has all 164."""

from __future__ import annotations

import pytest

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import EngineError
from chainlang.evaluation import evaluate
from chainlang.sandboxes.available import sandbox
from chainlang.sandboxes.program import NAMES
from tests.sandboxes.human_eval import WRONG, checks_of, passed, problems

SOME = 8  # one in so many
UNKNOWN_TO_MONTY = {"HumanEval/32", "HumanEval/38", "HumanEval/50"}


def given() -> list[dict[str, object]]:
    found = [one for one in problems(SOME) if one["task_id"] not in UNKNOWN_TO_MONTY]
    assert len(found) >= 20
    return found[:20]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_right_programs_pass_and_wrong_ones_fail(name: str) -> None:
    try:
        sandbox(name)
    except EngineError as error:
        pytest.skip(str(error))
    assert all(passed(name, given()))
    assert not any(passed(name, given(), WRONG))


@pytest.mark.slow
def test_pass_at_k_over_problems_is_the_formula() -> None:
    some = given()[:10]
    bodies = {one["prompt"]: one for one in some}

    def answers(request: object, index: int) -> str:
        problem = bodies[request.messages[0].text]  # type: ignore[attr-defined]
        right = problem["canonical_solution"] if index % 4 == 0 else WRONG
        return f"{problem['prompt']}{right}"

    rows = [{"query": one["prompt"], "tests": checks_of(one)} for one in some]
    engine = FakeEngine(answers=answers)
    for k, wanted in ((1, 2 / 8), (4, 1 - 15 / 70)):
        found = evaluate(chain("8:E"), rows, f"pass@{k}", target="tests", engine=engine)
        assert found.accuracy == pytest.approx(wanted)

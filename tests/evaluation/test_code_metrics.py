"""Metrics of programs: tests in the target, and the unbiased estimate of pass@k."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path

import pytest

from chainlang import chain
from chainlang.cli import main
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError, OperandError
from chainlang.evaluation import code_metric, evaluate, pass_at, score_run
from chainlang.evaluation.code_metrics import estimated
from chainlang.evaluation.metrics import metric_of

RIGHT, WRONG = "def double(n):\n    return n + n", "def double(n):\n    return n * n"
TESTS = ["assert double(2) == 4", "assert double(3) == 6"]
ROWS = [{"id": str(number), "query": f"Write it. {number}", "tests": TESTS} for number in range(3)]


def engine() -> FakeEngine:
    """Return an engine whose samples pass in turn: one of four, two of four, all."""
    programs = {"0": [RIGHT, WRONG, WRONG, "def ("], "1": [WRONG, RIGHT, RIGHT, "None"]}
    return FakeEngine(answers={**programs, "2": [f"```python\n{RIGHT}\n```"] * 4})


@pytest.mark.parametrize(
    ("answer", "value", "read"),
    [
        (RIGHT, 1.0, "passed"),
        (f"So:\n```python\n{RIGHT}\n```\n", 1.0, "passed"),
        (WRONG, 0.0, "AssertionError (line 2 of the tests)"),
        ("", 0.0, "NameError: name 'double' is not defined (line 1 of the tests)"),
        ({"ok": True, "value": None, "stdout": "", "error": None}, 1.0, "passed"),
        ({"ok": False, "value": None, "stdout": "", "error": "no"}, 0.0, "no"),
        (42, None, None),
    ],
)
def test_an_answer_is_marked_by_its_tests(answer: object, value: object, read: object) -> None:
    mark = code_metric()(answer, TESTS)
    assert (mark.value, mark.read) == (value, read)


@pytest.mark.parametrize("target", [None, "", [], 3, ["assert True", 3]])
def test_a_target_without_tests_is_an_error_of_its_row(target: object) -> None:
    with pytest.raises(ChainlangError, match="is no source of tests"):
        evaluate(
            chain("E:m"), [{"query": "0", "tests": target}], "code", target="tests", engine=engine()
        )


def test_the_estimate_is_the_share_of_the_sets_in_which_one_passes() -> None:
    for samples, k in itertools.product(range(1, 8), range(1, 8)):
        for passed in range(samples + 1):
            if k > samples:
                with pytest.raises(OperandError):
                    estimated(samples, passed, k)
                continue
            sets = list(itertools.combinations(range(samples), k))
            share = Fraction(sum(min(one) < passed for one in sets), len(sets))
            assert estimated(samples, passed, k) == pytest.approx(float(share), abs=1e-12)


@pytest.mark.parametrize(("k", "accuracy"), [(1, 7 / 12), (2, 7.0 / 9), (4, 1.0)])
def test_pass_at_k_marks_the_answers_of_all_candidates(k: int, accuracy: float) -> None:
    tested = "4:E:m >> code(tests=\"{{ tests | join('\\n') }}\")"
    for text in ("4:E:m", tested):
        found = evaluate(chain(text), ROWS, f"pass@{k}", target="tests", engine=engine())
        assert [one.read for one in found.scores] == ["1 of 4 pass", "2 of 4 pass", "4 of 4 pass"]
        assert found.accuracy == pytest.approx(accuracy)


def test_a_finished_run_is_scored_by_its_tests(tmp_path: Path) -> None:
    chain("E:m").run(ROWS, tmp_path / "run", engine=engine())
    found = score_run(tmp_path / "run", "code", target="tests")
    assert [one.outcome for one in found.scores] == ["correct", "wrong", "correct"]


def test_the_shell_scores_by_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(one) + "\n" for one in ROWS))
    chain("E:m").run(ROWS, tmp_path / "run", engine=engine())
    with pytest.raises(SystemExit) as ended:
        main(["eval", str(tmp_path / "run"), "--target", "tests", "--metric", "code"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("code: 66.7 %")


@pytest.mark.parametrize("name", ["pass@0", "code:docker", "pass@1:docker", "pass@x", "codes"])
def test_a_name_that_is_no_metric_is_refused(name: str) -> None:
    with pytest.raises(ChainlangError):
        metric_of(name)


def test_a_maker_is_no_metric() -> None:
    for maker in (code_metric, pass_at):
        with pytest.raises(OperandError, match=f"{maker.__name__} makes a metric"):
            metric_of(maker)

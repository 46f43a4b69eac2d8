"""Evaluations and comparisons: of chains, of runs, with rows that fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chainlang import Chain, chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError
from chainlang.evaluation import Evaluation, Judge, compare, evaluate, score_run
from chainlang.protocol.messages import Failure, Request

ROWS = [
    {"query": f"{a}+{b}", "answer": a + b, "kind": "carry" if a % 10 + b % 10 > 9 else "plain"}
    for a, b in [(1, 2), (15, 9), (3, 3), (20, 11), (8, 8), (5, 4)]
]
ONE, VOTE = chain("E:m"), chain("9:E:m >> M")


def sums(request: Request, index: int) -> str:
    """Return the sum, which is wrong in each third sample, and is no number for 8+8."""
    one, _, other = request.messages[-1].text.partition("+")
    if one == other == "8":
        return "sixteen"
    return str(int(one) + int(other) + (request.seed + index) % 3 // 2)


def fails(request: Request) -> Failure | None:
    return Failure(request.id, "refused", "no") if "20+" in request.messages[-1].text else None


def engine() -> FakeEngine:
    return FakeEngine(answers=sums, failures=fails)


def evaluated(out: Path | None = None, of: Chain = ONE, **more: Any) -> Evaluation:
    return evaluate(of, ROWS, "number", engine=engine(), out=out, **more)


def test_outcomes_are_counted_apart() -> None:
    found = evaluated(group="kind")
    assert (found.counts["unread"], found.counts["failed"]) == (1, 1)
    assert found.counts["correct"] + found.counts["wrong"] == 4
    assert found.accuracy == found.counts["correct"] / 6
    assert [one.row for one in found.of("failed")] == [4]
    assert [one.answer for one in found.of("unread")] == ["sixteen"]
    assert {name: one.rows for name, one in found.groups.items()} == {"plain": 4, "carry": 2}
    assert found.usage.calls == 5


def test_a_run_has_its_scores_and_those_are_the_same(tmp_path: Path) -> None:
    memory, folder = evaluated(), evaluated(tmp_path / "run")
    assert folder.scores == memory.scores
    lines = (tmp_path / "run" / "scores.jsonl").read_text().splitlines()
    assert [json.loads(one) for one in lines] == folder.to_dicts()
    about = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert about["outcomes"] == dict(folder.counts)
    assert score_run(tmp_path / "run", "number").scores == folder.scores
    assert evaluated(tmp_path / "run").scores == folder.scores  # resumed, nothing left to run


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_the_column_of_a_target_is_never_an_output(kind: str, tmp_path: Path) -> None:
    """Rows and results both have an `answer`, and the failed row has no other."""
    found = evaluated(tmp_path / "run", format=kind)
    assert [int(one.target) for one in found.scores] == [row["answer"] for row in ROWS]
    assert found.counts == evaluated().counts


def test_a_resumed_run_is_scored_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(ChainlangError):
        evaluated(tmp_path / "run", run_calls=2)
    with pytest.raises(ChainlangError, match="not complete"):
        score_run(tmp_path / "run", "number")
    assert evaluated(tmp_path / "run").scores == evaluated().scores


def test_a_run_that_goes_on_loses_its_scores(tmp_path: Path) -> None:
    evaluated(tmp_path / "a")
    evaluated(tmp_path / "b")
    chain("E:m").run([*ROWS, ROWS[0] | {"id": 9}], tmp_path / "a", engine=engine())
    with pytest.raises(ChainlangError, match="this run has no scores"):
        compare(tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("damage", ["a line", "another line", "no evaluation", "no JSON"])
def test_scores_that_are_damaged_are_not_compared(damage: str, tmp_path: Path) -> None:
    for name in "ab":
        evaluated(tmp_path / name)
        scores, about = (tmp_path / name / one for one in ("scores.jsonl", "evaluation.json"))
        lines = scores.read_text().splitlines(keepends=True)
        match damage:
            case "a line":  # of both: what is left can be compared
                scores.write_text("".join(lines[1:]))
            case "another line":
                scores.write_text('{"a": 1}\n')
            case "no evaluation":
                about.write_text("[]")
            case "no JSON":
                about.write_text("{")
    with pytest.raises(ChainlangError) as caught:
        compare(tmp_path / "a", tmp_path / "b")
    assert "are not what chainlang eval has written" in str(caught.value)
    assert "__init__" not in str(caught.value)


def test_a_missing_target_is_found_before_the_first_row() -> None:
    used = engine()
    for rows, message in (
        ([*ROWS, {"query": "1+1"}], "row 7 has no 'answer'"),
        (iter([{"query": "1+1", "anser": 2}]), "did you mean 'anser'?"),
        ([*ROWS, {"query": "1+1", "answer": "two"}], "row 7, metric number: the target 'two'"),
    ):
        with pytest.raises(ChainlangError) as error:
            evaluate(ONE, rows, "number", engine=used)
        assert message in str(error.value)


def test_settings_that_would_hide_failures_are_refused() -> None:
    with pytest.raises(ChainlangError, match="failed rows as wrong"):
        evaluated(on_error="skip")


def test_a_chain_with_branches_has_no_one_answer(tmp_path: Path) -> None:
    for out in (None, tmp_path / "run"):
        with pytest.raises(ChainlangError, match="an answer of its own: a, b"):
            evaluate(chain("(a = E:m) | (b = E:m)"), ROWS[:1], engine=engine(), out=out)


def test_another_output_can_be_scored(tmp_path: Path) -> None:
    for out in (None, tmp_path / "run"):
        found = evaluate(
            VOTE, ROWS[:1], lambda answer, target: answer > 0.5, answer="confidence",
            engine=engine(), out=out,
        )  # fmt: skip
        assert found.accuracy == 1
        with pytest.raises(ChainlangError, match="confidence"):
            evaluate(VOTE, ROWS[:1], answer="confidense", engine=engine(), out=out)


def test_a_metric_that_raises_names_the_row() -> None:
    with pytest.raises(ZeroDivisionError) as error:
        evaluate(ONE, ROWS, lambda answer, target: 1 / 0, engine=engine())
    assert error.value.__notes__ == ["in the metric <lambda>, at row 1"]


# ---------------------------------------------------------------- judges

JUDGE = chain("J:judge")


def judged(request: Request, index: int) -> str:
    text = request.messages[-1].text
    verdict = "correct" if "sixteen" in text else "incorrect"
    return json.dumps({"verdict": verdict if "3+3" not in text else "perhaps"})


FILE = """
type Verdict {{ verdict: "correct" | "incorrect" | "perhaps" }}
op grade : generate -> Verdict {{ user = "{{{{ query }}}} {{{{ reply }}}} {{{{ {} }}}}" }}
main = grade:judge
"""


def test_a_judge_marks_the_reply(tmp_path: Path) -> None:
    from chainlang import load

    judge = load(text=FILE.format("target"))
    engines = {"m": engine(), "judge": FakeEngine(answers=judged)}
    rows = [row | {"human": "yes" if row["query"] == "8+8" else "no"} for row in ROWS]
    for out in (None, tmp_path / "run"):
        metric = Judge(judge, labels="human")
        found = evaluate(ONE, rows, metric, engine=engines, out=out)
        assert dict(found.counts) == {"correct": 1, "wrong": 3, "unread": 1, "failed": 1}
        assert found.judge_usage.calls == 5
        assert found.agreement is not None
        assert (found.agreement.share.rows, found.agreement.kappa) == (4, 1.0)
        assert "the judge agrees with people in 100.0 %" in str(found)
    assert (tmp_path / "run-judge" / "metadata.json").is_file()


# ---------------------------------------------------------------- comparisons


def compared(**more: Any) -> Any:
    return compare(ONE, VOTE, ROWS, "number", engine=engine(), **more)


def test_pairs_are_counted() -> None:
    found = compared()
    first, second = evaluated(), evaluated(of=VOTE)
    pairs = [(a.score, b.score) for a, b in zip(first.scores, second.scores, strict=True)]
    assert found.won == sum(b > a for a, b in pairs)
    assert found.lost == sum(b < a for a, b in pairs)
    assert found.difference == pytest.approx(second.accuracy - first.accuracy)
    assert len(found.differing) == len(found.to_dicts()) == found.won + found.lost


def test_shared_samples_are_drawn_once() -> None:
    """The samples of the narrow vote are the first of the wide one."""
    used = FakeEngine(answers=sums)
    drawn: list[Request] = []
    submit = used.submit

    def watched(requests: Any) -> None:
        several = list(requests)
        drawn.extend(several)
        submit(several)

    used.submit = watched  # type: ignore[method-assign]
    compare(VOTE, chain("3:E:m >> M"), ROWS, "number", engine=used)
    alone: list[Request] = drawn[:]
    drawn.clear()
    evaluate(VOTE, ROWS, "number", engine=used)
    assert sum(one.drawn for one in alone) == sum(one.drawn for one in drawn)


def test_evaluations_of_other_rows_are_refused(tmp_path: Path) -> None:
    one = evaluated()
    other = evaluate(ONE, ROWS[:5], "number", engine=engine())
    with pytest.raises(ChainlangError, match="1 of 6 are not in the second, such as row 6"):
        compare(one, other)
    exact = evaluate(ONE, ROWS, "exact", engine=engine())
    with pytest.raises(ChainlangError, match="the first is scored by number"):
        compare(one, exact)
    changed = [{**row, "id": str(n), "answer": n} for n, row in enumerate(ROWS)]
    again = [{**row, "id": str(n)} for n, row in enumerate(ROWS)]
    sides = [evaluate(ONE, rows, "number", engine=engine()) for rows in (changed, again)]
    with pytest.raises(ChainlangError, match="row 1 has the target 0 in the first, and 3"):
        compare(*sides)


def test_folders_and_evaluations_compare_alike(tmp_path: Path) -> None:
    evaluated(tmp_path / "a")
    evaluated(tmp_path / "vote", of=VOTE)
    ways = (tmp_path / "a", tmp_path / "vote"), (evaluated(), evaluated(of=VOTE))
    first, second = (repr(compare(*both)) for both in ways)
    assert first == second == repr(compared())
    chain("E:m").run(ROWS, tmp_path / "c", engine=engine())
    with pytest.raises(ChainlangError, match="this run has no scores"):
        compare(tmp_path / "a", tmp_path / "c")
    with pytest.raises(ChainlangError, match="did you mean 'vote'"):
        compare(tmp_path / "a", tmp_path / "vot")


def test_settings_without_effect_are_refused(tmp_path: Path) -> None:
    evaluated(tmp_path / "a")
    with pytest.raises(ChainlangError, match="nothing is run, so limit= would have no effect"):
        score_run(tmp_path / "a", "number", limit=3)
    with pytest.raises(ChainlangError, match="nothing is run, so seed= would have no effect"):
        compare(tmp_path / "a", tmp_path / "a", seed=3)

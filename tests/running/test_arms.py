"""Arms of a branch that stay apart fail alone, and keep what the others have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain
from chainlang.cli import execute
from chainlang.engines.fake import FakeEngine
from chainlang.errors import RowError, StopError
from chainlang.protocol.messages import Failure, Request
from chainlang.session.result import Result
from tests.running.test_resume import Counting, plain

ROWS = [{"id": f"r{number}", "query": f"What is {number} + 1?"} for number in range(6)]
GOOD = '{"reasoning": "so", "final_answer": "7"}'
CHAIN = "(before = 2:E:a) >> ((fr = J:b:0.5) | (es = J:c:0.5))"


class Broken(Counting):
    """An engine on which some models reply badly to some rows."""

    def __init__(self, bad: dict[str, set[int]], kind: str = "reply", **more: Any) -> None:
        self.bad, self.kind = bad, kind
        super().__init__(answers=self._text, failures=self._failure, **more)

    def _is_bad(self, request: Request) -> bool:
        rows = self.bad.get(request.model, set())
        text = request.messages[-1].text
        return any(f"What is {number} + 1?" in text for number in rows)

    def _text(self, request: Request, index: int) -> str:
        if request.schema is None:
            return str((request.seed + index) % 10)
        return "no JSON" if self.kind == "reply" and self._is_bad(request) else GOOD

    def _failure(self, request: Request) -> Failure | None:
        if self.kind == "reply" or not self._is_bad(request):
            return None
        kind: Any = self.kind
        return Failure("", kind, "planted", transient=kind == "down")


def called(text: str, engine: FakeEngine, **settings: Any) -> Result:
    return chain(text)(ROWS[0], engine=engine, on_error="collect", **settings)


def run(path: Path, engine: FakeEngine, text: str = CHAIN, **settings: Any) -> Any:
    return chain(text).run(ROWS, path, engine=engine, window=2, **settings)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_branch_has_its_result_or_its_failure() -> None:
    result = called("2:E:a >> ((fr = J:b) | (es = J:c))", Broken({"c": {0}}))
    assert not result.ok
    assert (result.branches["fr"].ok, result.branches["fr"].answer) == (True, "7")
    failed = result.branches["es"]
    assert failed.failure is not None
    assert result.failure == failed.failure
    assert (failed.ok, failed.failure.cause, failed.failure.branch) == (False, "reply", "es")
    with pytest.raises(RowError, match="J failed: sample 0"):
        _ = failed.answer
    assert len(result.trace) == 2  # what both share is there once


def test_a_stage_after_a_branch_fails_in_the_arm_that_it_follows() -> None:
    def bad(request: Request, index: int) -> str:  # what an engine calls
        if request.model == "c":
            return "no JSON" if "from b" in request.messages[-1].text else GOOD
        return f"from {request.model}"

    written = called("(E:a | E:b) >> J:c", FakeEngine(answers=bad))
    spread = called("(E:a >> J:c) | (E:b >> J:c)", FakeEngine(answers=bad))
    assert written.flow == spread.flow
    assert [one.ok for one in written.branches.values()] == [True, False]


def test_branches_inside_branches_fail_alone_too() -> None:
    result = called("2:E:a >> ((E:a >> ((fr = J:b) | (es = J:c))) | J:c)", Broken({"c": {0}}))
    inner = result.branches["0"]
    assert not inner.ok
    assert inner.branches["fr"].ok
    assert [one.branch for one in _failures(result)] == ["0.es", "1"]


def _failures(result: Result) -> list[Any]:
    if result.branches:
        return [one for inner in result.branches.values() for one in _failures(inner)]
    return [] if result.failure is None else [result.failure]


@pytest.mark.parametrize("text", ["2:E:a >> ((J:b | J:c) & J:b)", "2 * (E:a >> (J:b | J:c))"])
def test_an_arm_that_is_gathered_fails_the_row(text: str) -> None:
    result = called(text, Broken({"c": {0}}))
    assert result.flow is None
    assert result.failure is not None
    assert result.failure.branch == ""


def test_a_budget_of_the_row_fails_the_row() -> None:
    result = called("2:E:a >> ((fr = J:b) | (es = J:c))", Broken({}), row_calls=3)
    assert result.flow is None
    assert result.failure is not None
    assert result.failure.cause == "budget"


def test_a_call_raises_what_failed_first() -> None:
    with pytest.raises(RowError, match="branch es: J failed"):
        chain("2:E:a >> ((fr = J:b) | (es = J:c))")(ROWS[0], engine=Broken({"c": {0}}))


def test_the_tables_keep_the_branches_that_succeeded(tmp_path: Path) -> None:
    summary = run(tmp_path, Broken({"c": {1}, "b": {1, 4}}))
    assert (summary.rows, summary.failed) == (6, 2)
    _, both, *_, one, last = lines(tmp_path / "flattened/000.jsonl")
    assert both["before.answer"] is not None
    assert (both["branch.fr.answer"], both["branch.es.answer"]) == (None, None)
    assert both["error"].startswith("fr: Invalid JSON")
    assert "; es: Invalid JSON" in both["error"]
    assert (one["branch.fr.answer"], one["branch.es.answer"]) == (None, "7")
    assert (last["branch.fr.answer"], last["error"]) == ("7", None)
    errors = [(one["id"], one["branch"]) for one in lines(tmp_path / "errors.jsonl")]
    assert errors == [("r1", "fr"), ("r1", "es"), ("r4", "fr")]
    answers = [(one["id"], one["branch"]) for one in lines(tmp_path / "answers/000.jsonl")]
    assert [one for one in answers if one[0] in ("r1", "r4")] == [("r4", "es")]
    before = [one["id"] for one in lines(tmp_path / "before/000.jsonl")]
    assert before.count("r1") == before.count("r0") == 2


def test_retrying_draws_an_arm_that_has_not_waited_for_the_step_before_it(tmp_path: Path) -> None:
    text = '(before = 2:E:a) >> E:d(fresh=true) >> ((fr = J:b:0.5(of="before")) | (es = J:c:0.5))'
    run(tmp_path / "whole", Broken({}), text)
    assert run(tmp_path / "run", Broken({"b": {1, 4}}), text).failed == 2
    last = Broken({})
    assert run(tmp_path / "run", last, text, retry_failed=True).failed == 0
    assert last.samples == 2
    assert plain(tmp_path / "run") == plain(tmp_path / "whole")


def test_retrying_draws_the_arms_that_failed_and_keeps_the_others(tmp_path: Path) -> None:
    run(tmp_path / "whole", Broken({}))
    first = Broken({"c": {1}, "b": {1, 4}})
    run(tmp_path / "run", first)
    assert first.samples == 6 * 4
    again = Broken({"c": {1}})
    assert run(tmp_path / "run", again, retry_failed=True).failed == 1
    assert again.samples == 3
    last = Broken({})
    assert run(tmp_path / "run", last, retry_failed=True).failed == 0
    assert last.samples == 1
    assert plain(tmp_path / "run") == plain(tmp_path / "whole")
    resumed = Broken({})
    run(tmp_path / "run", resumed)
    assert resumed.samples == 0


def test_a_model_that_is_down_in_one_arm_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(StopError):
        run(tmp_path / "run", Broken({"c": {3}}, "down"))
    assert run(tmp_path / "run", Broken({})).failed == 0
    run(tmp_path / "whole", Broken({}))
    assert plain(tmp_path / "run") == plain(tmp_path / "whole")


def test_the_shell_prints_the_branches_that_succeeded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "x.chain"
    path.write_text(
        'model a = fake("a")\n'
        "op bad : generate -> int(1..5) { user = '{{ query }} {{ missing }}' }\n"
        "main = (fr = E:a) | (es = bad:a)\n"
    )
    assert execute(["ask", str(path), "Hi", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["branches"]
    assert "answer" in found["fr"]
    assert found["es"]["failure"]["cause"] == "prompt"
    assert execute(["ask", str(path), "Hi"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith("fr: ")
    assert "es" not in said.out
    assert "branch es: bad failed" in said.err

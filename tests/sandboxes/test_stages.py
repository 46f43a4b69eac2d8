"""Stages that run programs: their meaning, their places, runs that go on, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chainlang import M, chain, code, load, op
from chainlang.engines.fake import FakeEngine
from chainlang.engines.sandbox.engine import SandboxEngine
from chainlang.errors import EngineError, StopError
from chainlang.protocol.messages import Completion, Failure, Request
from chainlang.protocol.programs import sandbox_of
from chainlang.sandboxes import available
from chainlang.sandboxes.program import NAMES
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import trace_of
from chainlang.semantics.reference import interpret
from chainlang.semantics.stage_error import StageError

PROGRAMS = (
    "```python\nquery_length = 6\nquery_length * 7\n```",
    "import random\nrandom.randint(0, 10**9)",
    "I would write\n```\nprint('hi')\n1 / 0\n```\nor so.",
    "def (",
)
ROW = {"id": "r", "query": "q", "tests": "", "n": [1, 2]}


def engine() -> FakeEngine:
    """Return an engine whose samples are programs."""
    return FakeEngine(answers=lambda request, index: PROGRAMS[(request.seed + index) % 4])


def complete(request: Request) -> Completion | Failure:
    name = sandbox_of(request.model)
    return engine().complete(request) if name is None else SandboxEngine(name).complete(request)


@pytest.mark.parametrize(
    "text",
    [
        "4:E >> code",
        '4:E >> code >> M(by="value")',
        '(a = 2:E) >> (b = code) >> E(system="{{ b.stdout }}") >> code',
        "(2:E & E:other) >> (code | code(seconds=3)) >> M",
        'E >> each(code(inputs={"k": "{{ item }}"}), over="candidates")',
        "2 * (E >> code)",
        'loop(E >> code, until="ok", max=3)',
        "retry(2:E >> code, times=2)",
        'cascade(E >> code, 3:E >> code, accept="ok")',
        "fallback(E >> code >> code, 2:E >> code)",
        "E >> code >> V",
        '2:E >> code(tests="{{ tests }}", inputs={"n": "{{ n }}", "k": 3})',
        '(a = 2:E) >> J >> code(of="a")',
    ],
)
def test_the_runtime_means_what_the_reference_means(text: str) -> None:
    made = chain(text)
    result = made(ROW, engine=engine(), on_error="collect")
    assert _why(result) == _meant(made)
    if not result.ok:
        return
    meant: Any = interpret(made.body, record_of(ROW), complete, declared=made.items)
    traced = [(one.stage, one.place, _said(one.candidates)) for one in result.trace]
    expected = [one for _, one in trace_of(meant)]
    assert traced == [(one.stage, one.place, _said(one.candidates)) for one in expected]


def _why(result: Any) -> str | None:
    return None if result.failure is None else result.failure.message


def _meant(made: Any) -> str | None:
    """Return the error of the reference; None if it succeeds."""
    try:
        interpret(made.body, record_of(ROW), complete, declared=made.items)
    except StageError as error:
        return str(error)
    return None


def _said(candidates: Any) -> list[Any]:
    return [(one.answer, dict(one.fields), one.text, one.place) for one in candidates]


def test_a_program_reads_its_inputs_with_their_types_and_its_candidate() -> None:
    made = chain('E >> code(inputs={"n": "{{ n }}", "said": "{{ candidate.answer }}", "k": [1]})')
    given = FakeEngine(answers={"q": "[n, len(said), k]"})
    assert made(ROW, engine=given).candidates[0].fields["value"] == [[1, 2], 17, [1]]


def test_an_answer_that_is_no_text_fails_the_row() -> None:
    made = chain("E >> code >> code")
    found = made(ROW, engine=engine(), on_error="collect")
    assert found.failure is not None
    assert (
        found.failure.message == "the answer of the candidate is a dict, and no text with a program"
    )


def test_random_numbers_depend_on_the_place_and_on_nothing_else() -> None:
    made = chain("2:E >> code")
    given = FakeEngine(answers={"": "import random\nrandom.random()"})

    def values(**settings: Any) -> dict[str, list[float]]:
        rows = [{"id": name, "query": name} for name in settings.pop("names", "abc")]
        found = made.map(rows, engine=given, **settings)
        return {one.row_id: [it.fields["value"] for it in one.candidates] for one in found}

    whole = values()
    assert len({value for each in whole.values() for value in each}) == 6
    assert values(names="cab", window=1) == {name: whole[name] for name in "cab"}
    assert values(passes=[]) == whole
    assert values(seed=1) != whole


def test_an_op_answers_with_the_program_that_passes() -> None:
    tests = "assert double(2) == 4"
    check = op("check", kind="code", tests="{{ tests }}", answer="candidate.answer if ok else none")
    given = FakeEngine(
        answers={"q": ["def double(n): return n", "def double(n): return n + n"]},
    )
    found = (chain("2:E") >> check)({**ROW, "tests": tests}, engine=given)
    assert [one.answer for one in found.candidates] == [None, "def double(n): return n + n"]
    again = load(text=str(chain("2:E") >> check))
    assert again == chain("2:E") >> check


def test_python_and_text_are_equal() -> None:
    assert chain("E") >> code(sandbox="bwrap") >> M(by="value") == chain(
        'E >> code(sandbox="bwrap") >> M(by="value")'
    )


class Counting(SandboxEngine):
    """An engine that counts its programs."""

    def __init__(self) -> None:
        super().__init__("monty")
        self.ran: list[str] = []

    def complete(self, request: Request) -> Completion | Failure:
        """Run a program."""
        self.ran.append(request.id)
        return super().complete(request)


def test_a_run_that_is_resumed_runs_no_recorded_program_again(tmp_path: Path) -> None:
    sandbox = Counting()
    engines = {"tiny": engine(), "sandbox:monty": sandbox}
    made = chain('3:E >> code >> M(by="value")')
    rows = [{"id": str(number), "query": f"{number}"} for number in range(6)]
    whole = made.run(rows, tmp_path / "whole", engine=engines, window=1)
    assert len(sandbox.ran) == 18
    sandbox.ran.clear()
    with pytest.raises(StopError):
        made.run(rows, tmp_path / "cut", engine=engines, window=1, run_calls=20)
    assert 0 < len(sandbox.ran) < 18
    for _ in range(2):
        made.run(rows, tmp_path / "cut", engine=engines, window=1)
        assert len(sandbox.ran) == 18
    one, other = (sorted((tmp_path / name / "answers").iterdir()) for name in ("whole", "cut"))
    assert [it.read_bytes() for it in one] == [it.read_bytes() for it in other]
    assert whole.by_model["sandbox:monty"].calls == 18
    assert whole.by_model["sandbox:monty"].output_tokens == 0
    about = json.loads((tmp_path / "whole" / "metadata.json").read_text())
    assert about["models"]["sandbox:monty"]["fingerprint"] == {
        "engine": "sandbox",
        "sandbox": "monty",
        "version": "monty 1.4.0",
    }


def test_the_explanation_says_which_sandbox_and_which_version() -> None:
    said = str(chain("E >> code").explain(["q"], engine=engine()))
    assert "SANDBOXES of programs\n  sandbox:monty  monty 1.4.0\n" in said


@pytest.mark.parametrize("name", NAMES)
def test_a_sandbox_that_is_not_there_is_an_error_before_the_first_row(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(available, "_OPEN", {})
    monkeypatch.setattr("chainlang.models.open_engines._OPEN._opened", {})
    kind = "MontySandbox" if name == "monty" else "BwrapSandbox"
    monkeypatch.setattr(f"chainlang.sandboxes.available.{kind}.probe", lambda self: "no\nget it")
    given = engine()
    with pytest.raises(EngineError) as error:
        chain(f'E >> code(sandbox="{name}")').run(["q"], tmp_path / "run", engine=given)
    assert (
        str(error.value)
        == f"error[engine]: the sandbox '{name}' can't run here: no\n  = hint: get it"
    )
    assert given.submitted == 0


def test_a_sandbox_is_no_model_for_prompts() -> None:
    with pytest.raises(EngineError) as error:
        chain("E:sandbox:monty")("q")
    assert "is a sandbox: it runs programs, and answers no prompts" in str(error.value)

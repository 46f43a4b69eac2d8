"""What a model thought stays beside what it said, wherever that goes, and never in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine, Reply
from chainlang.errors import MeaningError
from chainlang.protocol.messages import Request
from chainlang.semantics.record import TraceEntry
from chainlang.session.result import Result

THINKING = FakeEngine(
    answers={"17": [Reply("42", "7 + 5 is 12"), Reply("41"), Reply("42", "I guess")]}
)


def thoughts(stop: TraceEntry) -> list[str]:
    return [one.reasoning for one in stop.candidates]


def test_it_goes_with_its_answer() -> None:
    result = chain("3:E >> M")("17 + 25?", engine=THINKING)
    assert [one.text for one in result.trace[0].candidates] == ["42", "41", "42"]
    assert [thoughts(stop) for stop in result.trace] == [
        ["7 + 5 is 12", "", "I guess"],
        ["7 + 5 is 12"],  # the winner is the first that gave the answer
    ]
    assert (result.answer, result.candidates[0].reasoning) == ("42", "7 + 5 is 12")


def test_no_prompt_and_no_value_has_it() -> None:
    text = """
    op judge : fold -> { answer: str } { user = "{{ candidates[0].answer }}" }
    main = 2:E >> retry(judge::0.5, times=2)
    """
    seen: list[str] = []

    def answers(request: object, index: int) -> Reply:
        prompt = request.messages[-1].text  # type: ignore[attr-defined]
        seen.append(prompt)
        said = prompt if request.schema is None else json.dumps({"answer": "ok"})  # type: ignore[attr-defined]
        return Reply(said if seen.count(prompt) > 1 else "no", "SECRET")

    result: Result = load(text=text)("q", engine=FakeEngine(answers=answers))
    assert result.ok
    assert result.candidates[0].reasoning == "SECRET"
    assert not any("SECRET" in prompt for prompt in seen)
    assert all("SECRET" not in one.text for stop in result.trace for one in stop.candidates)
    assert result.value == {"answer": "ok"}


def test_a_reply_that_was_cut_while_the_model_thought_says_so() -> None:
    engine = FakeEngine(answers={"": Reply('{"final_answer": 1}', "x" * 40)})
    result = next(chain("E >> J(max_tokens=4)").map(["q"], engine=engine))
    assert result.failure is not None
    assert "cut before the model had done with its reasoning; raise max_tokens, which is 4" in str(
        result.failure.message
    )


def test_a_run_folder_has_it_and_so_has_a_run_that_goes_on(tmp_path: Path) -> None:
    for model in (THINKING, FakeEngine(answers=THINKING.answers)):
        summary = chain("3:E >> M").run(["17 + 25?"], tmp_path, engine=model)
        lines = (tmp_path / "answers" / "000.jsonl").read_text().splitlines()
        assert [json.loads(line)["reasoning"] for line in lines] == ["7 + 5 is 12"]
    assert summary.recorded == 3


ASKED = """
op judge : fold -> { reasoning: str } {
  user = "Judge.{% for it in candidates %} {{ it.reasoning }}: {{ it.answer }}.{% endfor %}"
}
op check : map { user = "{{ candidate.reasoning }} | {{ candidate }} | {{ fr.reasoning }} Check." }
main = (fr = 2:E) >> (judge | check)
"""


def test_a_template_that_asks_for_it_has_it() -> None:
    """A field of that name is the field, and the whole of a candidate is without."""
    seen: list[str] = []

    def answers(request: Request, index: int) -> Reply:
        prompt = request.messages[-1].text
        seen.append(prompt)
        said = "yes" if request.schema is None else '{"reasoning": "a field"}'
        return Reply(said, f"thought {index}")

    load(text=ASKED)("q", engine=FakeEngine(answers=answers))
    assert {one for one in seen if "Judge" in one} == {"Judge. thought 0: yes. thought 1: yes."}
    assert sorted(one for one in seen if "Check" in one) == [
        f'thought {number} | {{"answer": "yes"}} | thought 0 Check.' for number in range(2)
    ]
    field = ASKED.replace("(judge | check)", "judge >> check")
    seen.clear()
    load(text=field)("q", engine=FakeEngine(answers=answers))
    assert [one.split(" | ")[0] for one in seen if "Check" in one] == ["a field"]


def test_only_candidates_have_it() -> None:
    text = 'op ask : generate { user = "{{ query.reasoning }}" }\nmain = E >> ask'
    with pytest.raises(MeaningError, match="unknown field 'reasoning' of 'query'"):
        load(text=f"input {{ query: str }}\n{text}")

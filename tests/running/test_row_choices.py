"""Replies that are one of a list of their row, and lists that can't be chosen from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import strategies as st
from pydantic import BaseModel

from chainlang import M, load, one, op
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Completion, Failure, Request
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.record import Record
from chainlang.semantics.reference import interpret
from tests.laws import law

PICK = """
op pick : generate -> { why: str(..5), choice: one("choices") } {
  answer = "choice"  temperature = 1  user = "{{ query }} {{ choices | join(', ') }}"
}
"""


def rows(*lists: object) -> list[dict[str, Any]]:
    return [
        {"id": str(number), "query": "q", "choices": one} for number, one in enumerate(lists, 1)
    ]


def test_each_row_has_choices_of_its_own() -> None:
    lists = ["a", "b"], ["only"], [3, 1, 2], [0.5, 1], ["naïve", 'a "quote"', "a\nline", ""]
    picked = load(text=f"{PICK}\nmain = 40:pick").map(rows(*lists), engine=FakeEngine())
    for result, choices in zip(picked, lists, strict=True):
        assert {one.answer for one in result.candidates} <= set(choices)
        assert len({one.answer for one in result.candidates}) == len(choices)
        assert all(type(one.answer) in map(type, choices) for one in result.candidates)


def test_a_vote_counts_choices() -> None:
    said = [
        '{"why": "", "choice": "b"}',
        '{"why": "x", "choice": "b"}',
        '{"why": "", "choice": "a"}',
    ]
    chain = load(text=f"{PICK}\nmain = 3:pick >> M")
    result = chain({"query": "q", "choices": ["a", "b"]}, engine=FakeEngine(answers={"": said}))
    assert (result.answer, result["votes"]) == ("b", {'"b"': 2, '"a"': 1})


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ([], "choices is empty"),
        (["a", "b", "a"], 'choices[2] repeats choices[0]: "a"'),
        ([1, 2, 1.0], "choices[2] repeats choices[0]: 1.0"),
        (["a", None], "choices[1] is null, not a text or a number"),
        (["a", True], "choices[1] is true, not a text or a number"),
        (["a", ["b"]], "choices[1] is a list, not a text or a number"),
        ("a, b", "choices is a text, not a list"),
        ({"a": "b"}, "choices is an object, not a list"),
    ],
)
def test_a_list_without_a_choice_fails_its_row(choices: object, reason: str) -> None:
    if choices == "a, b" or isinstance(choices, dict):  # `join` reads these too
        pick = PICK.replace(" {{ choices | join(', ') }}", "")
    else:
        pick = PICK
    made = load(text=f"{pick}\nmain = 2:pick")
    good, bad, other = made.map(rows(["a"], choices, ["b"]), engine=FakeEngine())
    assert good.ok
    assert other.ok
    assert bad.failure is not None
    assert bad.failure.message == f'one("choices") has nothing to choose from: {reason}'


def test_a_row_without_the_list_fails() -> None:
    pick = load(text='op pick : generate -> one("choices") { user = "{{ query }}" } main = pick')
    (result,) = pick.map([{"query": "q", "choice": ["a"]}], engine=FakeEngine())
    assert result.failure is not None
    said = "one(\"choices\") has no list: unknown name 'choices'; did you mean 'choice'?"
    assert result.failure.message == said


def test_a_reply_that_is_none_of_the_choices_fails_and_says_which_there_are() -> None:
    pick = load(text=f"{PICK}\nmain = pick")
    engine = FakeEngine(answers={"": '{"why": "", "choice": "c"}'})
    (result,) = pick.map(rows(["a", "b"]), engine=engine)
    assert result.failure is not None
    assert result.failure.message.startswith("choice: Input should be 'a' or 'b'")


def test_a_run_keeps_the_choices_and_resumes(tmp_path: Path) -> None:
    chain = load(text=f"{PICK}\nmain = (picked = 3:pick >> M)")
    given = rows(["a", "b"], [], ["c", "d"])
    first = chain.run(given, tmp_path / "out", engine=FakeEngine())
    assert (first.rows, first.failed) == (3, 1)
    again = chain.run(given, tmp_path / "out", engine=FakeEngine())
    assert (again.rows, again.failed, again.recorded) == (3, 1, 6)
    (error,) = (tmp_path / "out" / "errors.jsonl").read_text().splitlines()
    assert json.loads(error)["id"] == "2"


def test_types_inside_types_have_the_choices_of_the_row() -> None:
    made = load(
        text='type Tags = list[one("tags")](1..2)\n'
        'type Picked { best: one("tags")?, others: Tags, mood: one("moods") | "none" }\n'
        'op pick : generate -> Picked { temperature = 1 user = "{{ query }}" }\n'
        "main = 20:pick"
    )
    result = made(query="q", tags=["x", "y"], moods=["good", "none"], engine=FakeEngine())
    for one_ in result.candidates:
        found = one_.fields
        assert found["best"] in ("x", "y", None)
        assert set(found["others"]) <= {"x", "y"}
        assert found["mood"] in ("good", "none")
    assert {one_.fields["mood"] for one_ in result.candidates} == {"good", "none"}


def test_an_item_of_each_may_be_the_list() -> None:
    made = load(
        text='op pick : generate -> one("options") { user = "{{ options }}" }\n'
        'main = each(pick, over="lists", item="options")'
    )
    result = made(query="q", lists=[["a"], ["b"]], engine=FakeEngine())
    assert [one_.answer for one_ in result.candidates] == ["a", "b"]


class Picked(BaseModel):
    choice: Annotated[str, one("choices")]


def test_a_class_has_the_choices_of_the_row() -> None:
    pick = op("pick", user="{{ query }}", returns=Picked)
    result = (pick("m", 5, 1) >> M)({"query": "q", "choices": ["a", "b"]}, engine=FakeEngine())
    assert isinstance(result.value, Picked)
    assert result.value.choice in ("a", "b")


def test_a_reply_stops_once_one_choice_is_left() -> None:
    made = load(text='op pick : generate -> one("choices") { user = "{{ query }}" } main = pick')
    assert "+ stop_reply" in str(made.explain(outputs="answer"))
    engine = FakeEngine()
    choices = ["a long first choice", "the second choice"]
    whole = made({"query": "q", "choices": choices}, engine=engine, passes=())
    early = made({"query": "q", "choices": choices}, engine=engine, outputs="answer")
    assert early.answer == whole.answer


values = st.lists(st.text(max_size=3) | st.integers(-9, 99), min_size=1, max_size=4, unique=True)


@law(st.lists(values, min_size=1, max_size=3), share=4)
def test_the_runtime_chooses_as_the_reference_does(lists: list[list[Any]]) -> None:
    made = load(text=f"{PICK}\nmain = 2:pick >> V >> 2:pick >> S")
    engine = FakeEngine()

    def complete(request: Request) -> Completion | Failure:
        engine.submit([request])
        while True:
            for reply in engine.step():
                assert isinstance(reply, Completion | Failure)
                return reply

    for row, result in zip(rows(*lists), made.map(rows(*lists), engine=FakeEngine()), strict=True):
        meant = interpret(made.body, record_of(row), complete, declared=made.items)
        assert isinstance(meant, Record)
        assert result.answer == meant.candidates[0].answer
        assert result.answer in row["choices"] or result["choice"] in (1, 2)


LISTS = (["a", "b", "c"], [4, -2, 0.5], ['a "quote"', "naïve", "and/or"])


def test_each_choice_has_its_probability() -> None:
    made = load(
        text='op pick : generate -> { choice: one("choices") } {'
        ' answer = "choice"  choices = true  user = "{{ query }}" } main = pick'
    )
    found = [one_.candidates[0].choices for one_ in made.map(rows(*LISTS), engine=FakeEngine())]
    assert [list(one_) for one_ in found] == [
        ["a", "b", "c"],
        ["4", "-2", "0.5"],
        ['a "quote"', "naïve", "and/or"],
    ]
    assert [sum(one_.values()) for one_ in found] == pytest.approx([1, 1, 1])

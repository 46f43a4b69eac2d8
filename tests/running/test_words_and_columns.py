"""Fields of rows with the names of words, and columns whose names are no names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError
from chainlang.session.result import Result

ECHO = FakeEngine(answers=lambda request, index: request.messages[-1].text)


def run(text: str, row: Any) -> Result:
    (result,) = load(text=text).map([row], engine=ECHO)
    assert result is not None
    return result


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("int", 5, "5"),
        ("{ text: str }", {"text": "a"}, '{"text": "a"}'),
        ("list[str]", ["a", "b"], '["a", "b"]'),
        ("bool", True, "true"),
        ("str?", None, "null"),
        ("float", 0.5, "0.5"),
    ],
)
def test_a_query_of_any_type_is_shown_as_other_values_are(
    kind: str, value: object, shown: str
) -> None:
    row = {"query": value, "text": "t"}
    declared = f"input {{ query: {kind}, text: str }}\n"
    asks = 'op o : generate { user = "{{ query }}" }\nmain = o'
    others = 'op t : generate { user = "{{ text }}" }\nmain = t'
    assert run(declared + "main = E", row).answer == shown
    assert run(declared + asks, row).answer == shown
    assert run(declared + others, row).answer == "t"
    if value is not None:
        assert run(asks, row).answer == shown


def test_a_query_is_read_by_fields_of_its_type() -> None:
    text = """
    input { query: { text: str } }
    op o : generate { user = "{{ query.text }}" }
    main = o
    """
    assert run(text, {"query": {"text": "hello"}}).answer == "hello"


def test_fields_that_nothing_reads_may_be_called_anything() -> None:
    row = {
        "query": "q", "candidates": "c", "responses": "r", "id": "i", "error": "e", "answer": 0,
        "candidate": 1, "reply": None, "votes": {},
    }  # fmt: skip
    result = run("main = 2:E >> M", row)
    assert (result.answer, result["votes"]) == ("q", {'"q"': 2})
    assert {**row} == {name: result.record.row[name] for name in row}
    declared = "input { responses: str, query: str }\nmain = E"
    assert run(declared, {"responses": "r", "query": "q"}).answer == "q"


def test_a_list_of_responses_holds_the_first_candidates() -> None:
    text = "input { query: str, responses: list[str] }\nmain = M"
    assert run(text, {"query": "q", "responses": ["a", "b", "b"]}).answer == "b"


COLUMNS = """
input { "Question Text" as question: str, "a.b" as ab: int = 7, query = "{{ question }}?" }
op o : generate { user = "{{ question }} {{ ab }} {{ query }}" }
main = o
"""


def test_a_column_is_read_under_the_name_of_its_field() -> None:
    qa = load(text=COLUMNS)
    assert qa({"Question Text": "Why", "a.b": 3}, engine=ECHO).answer == "Why 3 Why?"
    assert qa(question="Why", engine=ECHO).answer == "Why 7 Why?"
    assert qa("Why", engine=ECHO).answer == "Why 7 Why?"
    rows = [{"Question Text": "Why"}, {"Question Text": "How", "a.b": 1}]
    assert [one.answer for one in qa.map(rows, engine=ECHO) if one] == ["Why 7 Why?", "How 1 How?"]
    assert load(text=str(qa)) == qa


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"a.b": 3}, "Question Text: it is missing"),
        ({"Question Text": 5}, "Question Text: Input should be a valid string, not 5"),
        ({"Question Text": "a", "question": ""}, "question: the row has this field and its column"),
    ],
)
def test_a_fault_is_named_by_the_column(row: Any, message: str) -> None:
    failure = run(COLUMNS, row).failure
    assert failure is not None
    assert message in failure.message


def test_an_alias_of_a_model_is_a_column() -> None:
    class Row(BaseModel):
        question: str = Field(alias="Question Text")

    qa = chain("E", input=Row)
    assert qa({"Question Text": "Why"}, engine=ECHO).answer == "Why"


@pytest.mark.slow
def test_an_answer_that_doubles_in_each_round_is_bounded() -> None:
    text = """
    op grow : map { answer = "[candidate.answer, candidate.answer]" user = "{{ query }}" }
    main = E >> loop(grow, until="false", max=40)
    """
    failure = run(text, "q").failure
    assert failure is not None
    assert "its value has more than 1,000,000 characters and items" in failure.message


@pytest.mark.slow
@pytest.mark.parametrize(
    "answer",
    ["[candidate.answer, {'a': candidate.answer}]", "[candidate, candidate]"],
)
def test_so_it_is_for_other_ways_to_grow(answer: str) -> None:
    text = f"""
    op grow : map {{ answer = "{answer}" user = "{{{{ query }}}}" }}
    main = E >> loop(grow, until="false", max=40)
    """
    failure = run(text, "q").failure
    assert failure is not None
    assert failure.cause == "reply"


def test_a_large_value_of_a_row_is_no_value_that_is_made() -> None:
    documents = ["x" * 1_100_000]
    for over in ("documents", "documents[:1]", "documents | list"):
        text = f'main = each(E, over="{over}")'
        assert run(text, {"query": "q", "documents": documents}).answer == "q"


def test_a_table_without_the_column_of_a_field_stops_before_its_first_row(tmp_path: Path) -> None:
    table = tmp_path / "in.csv"
    table.write_text("Question Text,extra\nWhy,1\n")
    (result,) = load(text=COLUMNS).map(table, engine=ECHO)
    assert result is not None
    assert result.answer == "Why 7 Why?"
    table.write_text("question text,extra\nWhy,1\n")
    with pytest.raises(ChainlangError, match=r"no column 'Question Text'") as found:
        list(load(text=COLUMNS).map(table, engine=ECHO))
    assert "did you mean the column 'question text'" in str(found.value)

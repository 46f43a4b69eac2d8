"""Rows that fail before their first stage keep what was read of them; values that nothing reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from chainlang import Chain, chain, load
from chainlang.cli import execute
from chainlang.data import read_rows
from chainlang.engines.fake import FakeEngine

ECHO = FakeEngine(answers=lambda request, index: request.messages[-1].text)
TYPED = load(
    text="""
input { query: str, score: int? }
op tell : generate { user = "{% set _ = score %}{{ query }}" }
main = tell
"""
)
ASKED = load(text="input { query: str }\nmain = E")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def ran(qa: Chain, rows: Any, out: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run a chain; return its results, and its failures."""
    qa.run(rows, out, engine=ECHO)
    return lines(out / "flattened" / "000.jsonl"), lines(out / "errors.jsonl")


# ---------------------------------------------------------------- identity of a bad row


def test_rows_that_do_not_fit_keep_id_fields_and_position(tmp_path: Path) -> None:
    rows = [
        {"id": "r1", "query": "a", "score": 1},
        {"id": "r2", "query": None, "score": 2},
        {"id": "r1", "query": "c", "score": 3},
        {"id": "r4", "query": "d", "score": "many"},
        {"id": "r5", "score": 5},
        {"query": ["f"], "score": 6},
    ]
    results, errors = ran(TYPED, rows, tmp_path)
    assert [row["id"] for row in results[:5]] == ["r1", "r2", "r1", "r4", "r5"]
    assert results[5]["id"].startswith("#")
    assert [row.get("score") for row in results] == [1, 2, 3, "many", 5, 6]
    assert [(one["row"], one["id"], one["line"], one["fields"]) for one in errors] == [
        (at, row.get("id", results[5]["id"]), None, row) for at, row in enumerate(rows, 1) if at > 1
    ]
    assert [one["message"] for one in errors] == [
        "row 2: query: Input should be a valid string, not null",
        "row 3: row 1 has the id 'r1' too: ids are unique, or left out",
        (
            "row 4: score: Input should be a valid integer, unable to parse string as an integer, "
            'not "many"'
        ),
        "row 5: query: it is missing",
        'row 6: query: Input should be a valid string, not ["f"]',
    ]


def test_malformed_lines_keep_their_text(tmp_path: Path) -> None:
    long = '{"query": "' + "x" * 5000
    path = tmp_path / "in.jsonl"
    path.write_bytes(f'\n{{"query": "a"}}\n{long}\n[1]\n'.encode() + b'{"query": "\xe9"}\n')
    results, errors = ran(ASKED, path, tmp_path / "out")
    assert [(one["row"], one["line"], one["file"]) for one in errors] == [
        (at, at + 1, str(path)) for at in (2, 3, 4)
    ]
    assert [one["text"] for one in errors] == [long[:999] + "…", "[1]", '{"query": "\\xe9"}']
    assert [one["fields"] for one in errors] == [{}, {}, {}]
    assert [row["id"] for row in results[1:]] == [one["id"] for one in errors]
    assert len({row["id"] for row in results}) == 4


def test_records_with_too_few_or_too_many_cells_keep_those_that_they_have(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,query,score\nr1,a,1\n\nr2,b\nr3,c,3,4\n")
    results, errors = ran(TYPED, path, tmp_path / "out")
    assert [(one["id"], one["row"], one["line"]) for one in errors] == [("r2", 2, 4), ("r3", 3, 5)]
    assert [one["fields"] for one in errors] == [
        {"id": "r2", "query": "b"},
        {"id": "r3", "query": "c", "score": "3"},
    ]
    assert [one["text"] for one in errors] == ["r2,b", "r3,c,3,4"]
    assert [(row["id"], row["query"]) for row in results] == [("r1", "a"), ("r2", "b"), ("r3", "c")]


def test_a_bad_row_has_its_id_in_a_call_and_in_map() -> None:
    (failed,) = TYPED.map([{"id": "r2", "query": None}], engine=ECHO)
    assert (failed.ok, failed.row_id) == (False, "r2")
    assert TYPED({"id": "r3", "query": None}, engine=ECHO, on_error="collect").row_id == "r3"


def test_a_bad_row_never_has_the_result_of_a_row_that_waits(tmp_path: Path) -> None:
    """A row with an id in the form of a hash does not end those that are equal to another."""
    rows = [{"query": "a"}, {"query": "a"}, {"id": "", "query": "a"}]
    (first, *_) = chain("E::0.7").map(rows[:1], engine=ECHO)
    rows += [{"id": first.row_id, "query": None}, {"query": "a"}]
    found = list(ASKED.map(rows, engine=FakeEngine(latency=lambda request: 5.0), window=8))
    assert [one.ok for one in found] == [True, True, True, False, True]


# ---------------------------------------------------------------- values that nothing reads

ODD = {
    "bytes": b"\xff",
    "set": {1, 2},
    "infinity": float("inf"),
    "period": pd.Period("2026-11", "M"),
    "image": np.dtype("float32"),
    "deep": {"inner": [1, {2}], "kept": 3},
}


@pytest.mark.parametrize("name", ODD)
def test_a_value_that_nothing_reads_is_left_out(name: str, tmp_path: Path) -> None:
    rows = [{"id": "r1", "query": "a", "odd": ODD[name]}, {"id": "r2", "query": "b", "odd": 1}]
    results, errors = ran(chain("E"), rows, tmp_path)
    assert errors == []
    left = {"odd": {"inner": [1], "kept": 3}} if name == "deep" else {}
    assert results == [
        {"id": "r1", "query": "a", **left, "answer": "a", "error": None},
        {"id": "r2", "query": "b", "odd": 1, "answer": "b", "error": None},
    ]
    assert json.loads((tmp_path / "metadata.json").read_text())["left_out"] == {"odd": 1}
    (result, _) = chain("E").map(rows, engine=ECHO)
    if name != "deep":
        assert result["odd"] is ODD[name] or result["odd"] == ODD[name]


@pytest.mark.parametrize(
    "text",
    [
        'op tell : generate { user = "{{ odd }}" }\nmain = tell',
        'op tell : generate { user = "{{ query }}{{ odd | trim }}" }\nmain = tell',
        'op tell : generate { user = "{% if odd %}{% endif %}{{ query }}" }\nmain = tell',
        'op tell : generate { user = "{{ query }}{{ odd.real }}" }\nmain = tell',
        'op tell : generate { user = "{% for one in odd %}{{ query }}{% endfor %}" }\nmain = tell',
        'op tell : generate { user = "{{ [odd] }}{{ query }}" }\nmain = tell',
        'op tell : generate { user = "{{ odd == 1 }}{{ query }}" }\nmain = tell',
        'main = each(E, over="odd", item="query")',
        'main = E >> loop(V, until="odd == 1", max=2)',
        'main = route(by="odd", arms={"a": E}, default=J)',
    ],
)
def test_a_value_that_something_reads_fails_its_row_with_the_reason(text: str) -> None:
    rows = [{"query": "a", "odd": float("inf")}, {"query": "b", "odd": ["b"]}]
    judged = '{"verdict": "correct", "explanation": "", "revised_answer": ""}'
    engine = FakeEngine(answers={"": judged})
    failed, _ = load(text=text).map(rows, engine=engine)
    assert failed.failure is not None
    assert "odd: infinity is not a JSON value" in failed.failure.reason


def test_a_function_never_gets_a_value_that_is_not_json() -> None:
    def look(answer: str, *, odd: Any) -> str:
        return f"{answer}{odd}"

    failed, good = (chain("E") >> look).map(
        [{"query": "a", "odd": {1}}, {"query": "b", "odd": 1}], engine=ECHO
    )
    assert failed.failure is not None
    assert failed.failure.reason == "odd: a set is not a JSON value"
    assert good.answer == "b1"


def test_rows_with_and_without_it_have_one_identity() -> None:
    """A value that JSON can't hold is no part of what a row is hashed by."""
    one, other, both = chain("E::0.7").map(
        [{"query": "a", "odd": {1}}, {"query": "a", "odd": b"x"}, {"query": "a"}],
        engine=FakeEngine(),
    )
    assert one.row_id == other.row_id == both.row_id
    assert one.answer == other.answer == both.answer


def test_lines_with_nan_pass_where_nothing_reads_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out, file = tmp_path / "in.jsonl", tmp_path / "out", tmp_path / "x.chain"
    path.write_text('{"query": "a", "score": NaN}\n{"query": "b", "score": [1e999], "n": 1}\n')
    file.write_text('model f = fake("f")\nmain = E:f\n')
    assert execute(["run", str(file), "-i", str(path), "-o", str(out)]) == 0
    said = capsys.readouterr().err
    assert said.count("left out of the tables, since JSON can't hold them: score") == 1
    results = lines(out / "flattened" / "000.jsonl")
    assert ["score" in row for row in results] == [False, True]
    assert results[1]["score"] == []


def test_it_resumes_past_such_rows(tmp_path: Path) -> None:
    rows = [{"query": "a", "odd": {1}}, {"id": "x", "query": None}, {"query": "b"}]
    chain("E").run(rows[:2], tmp_path / "out", engine=ECHO)
    summary = chain("E").run(rows, tmp_path / "out", engine=ECHO)
    assert (summary.rows, summary.failed, summary.left_out) == (3, 1, {"odd": 1})


def test_every_reader_gives_where_a_row_stands() -> None:
    (row,) = read_rows([{"query": "a"}])
    assert str(row.origin) == "row 1"

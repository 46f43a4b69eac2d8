"""Identity of rows: what is hashed, and rows of one identity, which are counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain
from chainlang.cli import execute
from chainlang.engines.fake import FakeEngine
from chainlang.errors import StopError
from chainlang.semantics.input_schema import RowValidator
from chainlang.semantics.seeds import row_id
from tests.running.test_resume import plain

STORY = ["Write a story"] * 5
NOTED = [{"text": "a", "note": number} for number in range(3)]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def identity(declared: str | None, row: dict[str, Any]) -> str:
    made = chain("E", input=declared) if declared else chain("E")
    return RowValidator.of(made.items, made.bound).record(row).id


# ---------------------------------------------------------------- identity


@pytest.mark.parametrize(
    ("declared", "row", "expected"),
    [
        (None, {"text": "a"}, "#6fd74346e8defd1e35ccd6c4"),
        ("{ text: str }", {"text": "a"}, "#6fd74346e8defd1e35ccd6c4"),
        ('{ text: str, lang: str = "en" }', {"text": "a"}, "#6fd74346e8defd1e35ccd6c4"),
        ('{ text: str, query = "{{ text }}" }', {"text": "a"}, "#6fd74346e8defd1e35ccd6c4"),
        ("{ text: str, n: int }", {"text": "a", "n": 1}, "#ef7cdb36cb5e93e1ce8c480a"),
        (None, {"query": "q", "tags": ["A", 1.5]}, "#a7082bdd15d1be3b40e4e3e7"),
        ("{ text: str }", {"id": 7, "text": "a"}, "7"),
    ],
)
def test_ids_of_rows_without_other_columns_are_what_they_were(
    declared: str | None, row: dict[str, Any], expected: str
) -> None:
    assert identity(declared, row) == expected


def test_columns_that_input_does_not_declare_are_no_part_of_it() -> None:
    ids = {identity("{ text: str }", row) for row in NOTED}
    assert ids == {row_id({"text": "a"})}
    assert len({identity(None, row) for row in NOTED}) == 3
    assert len({identity("{ text: str, n: int = 1 }", {"text": "a", "n": n}) for n in (1, 2)}) == 2
    first, other = ({"text": "a", "responses": [one]} for one in "xy")
    assert identity("{ text: str }", first) != identity("{ text: str }", other)


def test_values_that_json_cannot_hold_are_no_part_of_it() -> None:
    rows: list[dict[str, Any]] = [{"query": "q", "photo": one} for one in (b"1", b"2", {object()})]
    results = list(chain("E").map(rows, engine=FakeEngine()))
    assert {one.row_id for one in results} == {row_id({"query": "q"})}
    kinds = [{event.kind for event in one.events} for one in results]
    assert kinds == [{"left_out"}, {"left_out", "equal"}, {"left_out", "equal"}]


# ---------------------------------------------------------------- equal rows


@pytest.mark.parametrize("window", [1, 2, 1000])
def test_equal_rows_share_their_samples_and_are_counted(tmp_path: Path, window: int) -> None:
    engine = FakeEngine()
    summary = chain("3:E").run(STORY, tmp_path, engine=engine, window=window)
    assert (summary.rows, summary.distinct, engine.submitted) == (5, 1, 1)
    assert summary.events == {"equal": 4}
    metadata = json.loads((tmp_path / "metadata.json").read_text())
    assert metadata["events"] == {"equal": 4}
    assert metadata["rows"]["distinct"] == 1
    events = lines(tmp_path / "events.jsonl")
    assert [(one["row"], one["message"]) for one in events] == [
        (number, "row 1 has the same fields") for number in (2, 3, 4, 5)
    ]
    answers = {one["answer"] for one in lines(tmp_path / "flattened/000.jsonl")}
    assert len(answers) == 1


def test_rows_with_ids_are_sampled_each(tmp_path: Path) -> None:
    rows = [{"id": number, "query": "Write a story"} for number in range(5)]
    engine = FakeEngine()
    summary = chain("3:E").run(rows, tmp_path, engine=engine)
    assert (summary.distinct, engine.submitted, dict(summary.events)) == (5, 5, {})


def test_equal_rows_keep_their_own_columns(tmp_path: Path) -> None:
    made = chain("E", input='{ text: str, query = "{{ text }}" }')
    engine = FakeEngine()
    results = list(made.map(NOTED, engine=engine))
    assert [one["note"] for one in results] == [0, 1, 2]
    assert [one.index for one in results] == [0, 1, 2]
    assert engine.submitted == 1
    made.run(NOTED, tmp_path, engine=FakeEngine())
    assert [one["note"] for one in lines(tmp_path / "flattened/000.jsonl")] == [0, 1, 2]


def test_a_run_that_resumes_counts_them_once(tmp_path: Path) -> None:
    rows = [*STORY, "another", *STORY, "another"]
    whole = chain("3:E").run(rows, tmp_path / "whole", engine=FakeEngine(), window=1)
    assert (whole.rows, whole.distinct) == (12, 2)
    with pytest.raises(StopError):
        chain("3:E").run(rows, tmp_path / "run", engine=FakeEngine(), window=1, run_calls=3)
    resumed = chain("3:E").run(rows, tmp_path / "run", engine=FakeEngine(), window=1)
    assert (resumed.rows, resumed.distinct) == (12, 2)
    assert plain(tmp_path / "run") == plain(tmp_path / "whole")


def test_equal_rows_that_fail_are_counted_too() -> None:
    results = list(
        chain("E >> J").map(["q", "q"], engine=FakeEngine(answers={"": "bad"}), on_error="collect")
    )
    assert [one.ok for one in results] == [False, False]
    assert [[event.kind for event in one.events] for one in results] == [[], ["equal"]]


def test_the_last_lines_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.chain").write_text('model m = fake("m")\nmain = 3:E:m')
    (tmp_path / "rows.jsonl").write_text('{"query": "Write a story"}\n' * 5)
    assert execute(["run", "x.chain", "-i", "rows.jsonl", "-o", "out"]) == 0
    said = capsys.readouterr().err
    expected = "5 rows, 1 distinct: equal rows share their samples; give them ids to sample each"
    assert expected in said
    assert "events: 4 equal" in said
    events = lines(tmp_path / "out/events.jsonl")
    assert events[0]["message"] == "line 1 has the same fields"

"""Names that nobody had to write: an op that stands once names its own part."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chainlang import load, op
from chainlang.engines.fake import FakeEngine
from chainlang.session.result import Result

ECHO = FakeEngine(answers=lambda request, index: f"<{request.messages[-1].text}>")
OPS = """
op ask : generate { temperature = 0.5 user = "{{ query }}" }
op tell : fold { user = "{{ ask.answer | default('nothing') }}" }
"""


def asked(main: str, row: object = "q") -> Result:
    return load(text=f"{OPS}main = {main}")(row, engine=ECHO)


@pytest.mark.parametrize(
    ("main", "answer", "names"),
    [
        ("ask >> tell", "<<q>>", {"ask", "tell"}),
        ("3:ask >> tell", "<<q>>", {"ask", "tell"}),
        ("retry(ask::0.5) >> tell", "<<q>>", {"ask", "tell"}),
        ("ask >> E >> tell", "<<q>>", {"ask", "tell"}),
        ("(x = ask >> M) >> tell", "<<q>>", {"x", "ask", "tell"}),
        # with a label of its own it needs no other name
        ("(x = ask) >> tell", "<nothing>", {"x", "tell"}),
        ("(x = retry(ask::0.5)) >> tell", "<nothing>", {"x", "tell"}),
        ("retry((x = ask::0.5)) >> tell", "<nothing>", {"x", "tell"}),
        # twice, or often, is not once
        ("(ask & ask) >> tell", "<nothing>", {"tell"}),
        ("2 * ask >> tell", "<nothing>", {"tell"}),
        ("2 * (ask >> tell)", "<nothing>", set()),
        # one of them runs
        ("fallback(ask, ask::0.5) >> tell", "<<q>>", {"ask", "tell"}),
        ("loop(ask, until='true') >> tell", "<<q>>", {"ask", "tell"}),
    ],
)
def test_an_op_names_its_own_part_where_it_stands_once(
    main: str, answer: str, names: set[str]
) -> None:
    result = asked(main)
    assert (result.answer, result.history.keys()) == (answer, names)


def test_a_name_that_somebody_wrote_is_that_of_the_label() -> None:
    result = asked("((ask = E) & ask) >> tell")
    assert result.history.keys() == {"ask", "tell"}
    assert [one.place for one in result.history["ask"].candidates] == [("0", "ask")]


def test_a_definition_makes_no_difference() -> None:
    text = f"{OPS}first = ask\nsecond = $first >> tell\nmain = $second"
    assert load(text=text)("q", engine=ECHO).history.keys() == {"ask", "tell"}
    text = f"{OPS}first = ask\nmain = ($first & $first) >> tell"
    assert load(text=text)("q", engine=ECHO).history.keys() == {"tell"}
    text = f"{OPS}first = ask\nmain = (x = $first) >> tell"
    assert load(text=text)("q", engine=ECHO).history.keys() == {"x", "tell"}


def test_each_branch_has_a_part_of_that_name() -> None:
    shared = asked("(E | E:other) >> ask >> tell")
    apart = asked("(E >> ask >> tell) | (E:other >> ask >> tell)")
    assert shared.branches.keys() == apart.branches.keys() == {"0", "1"}
    for name, branch in shared.branches.items():
        assert branch.history.keys() == {"ask", "tell"}
        assert branch.history == apart.branches[name].history
    gathered = asked("(((E | E:other) >> ask) & E) >> tell")
    assert gathered.history.keys() == {"tell"}  # of which of the two would `ask` be?


def test_it_hides_no_field_of_a_row() -> None:
    result = asked("ask >> tell", {"query": "q", "ask": {"answer": "of the row"}})
    assert result.answer == "<of the row>"
    assert result["ask"] == {"answer": "of the row"}
    assert result.history.keys() == {"tell"}


def test_in_python_too_and_in_the_run_folder(tmp_path: Path) -> None:
    rate = op("rate", user="{{ query }}", returns="{ score: int(1..5) }")
    tell = op("tell", kind="fold", user="{{ rate.score }}")
    (rate >> tell).run(["a", "b"], tmp_path, engine=FakeEngine())
    folder = sorted(path.name for path in tmp_path.iterdir() if path.is_dir())
    assert folder == ["answers", "flattened", "rate", "tell"]
    lines = (tmp_path / "flattened" / "000.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [*rows[0]] == [
        "id",
        "query",
        "answer",
        "rate.answer",
        "rate.score",
        "tell.answer",
        "error",
    ]
    assert all(1 <= row["rate.score"] <= 5 for row in rows)

"""Each stage leaves its candidates in a table, with place, item, round and attempt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chainlang import chain, load
from chainlang.engines.fake import FakeEngine
from chainlang.ir.nodes import Expr
from chainlang.ir.normalize import normal_form
from chainlang.plan.lower import lower
from chainlang.protocol.messages import Request
from chainlang.semantics.record import trace_of
from chainlang.store.stage_tables import StageTables
from tests.laws import law
from tests.laws.control import BOUND, READERS, chains, ran, shaky, start

ROW = {"id": "r", "query": "How many?", "documents": ["a", "b"]}


def tables(path: Path, made: Any, engine: FakeEngine, **settings: Any) -> dict[str, Any]:
    """Return the rows of each table of a run over one row."""
    summary = made.run([ROW], path, engine=engine, **settings)
    assert summary.failed == 0
    return {
        one.parent.name: [json.loads(line) for line in one.read_text().splitlines()]
        for one in sorted(path.glob("*/000.jsonl"))
    }


def lines(folder: Path) -> list[str]:
    return (folder / "000.jsonl").read_text().splitlines()


def columns(rows: list[dict[str, Any]], *names: str) -> list[list[Any]]:
    return [[row[name] for name in names] for row in rows]


def test_stages_without_a_name_are_numbered_on_the_normal_form(tmp_path: Path) -> None:
    made = chain("2:E >> ((E:a & E:b) | fallback(J, J:c)) >> @count", functions={"count": len})
    found = tables(tmp_path, made, FakeEngine())
    assert [*found] == ["@count", "@count.2", "E", "E.2", "E.3", "J", "answers", "flattened"]
    assert columns(found["E"], "branch", "candidate", "place") == [
        [None, 0, ["0"]],
        [None, 1, ["0"]],
    ]
    assert columns(found["E.3"], "branch", "place") == [["0", ["1", "|0", "0", "&1"]]]
    assert columns(found["@count.2"], "branch", "answer") == [["1", 1]]
    stages = json.loads((tmp_path / "metadata.json").read_text())["stages"]
    assert stages["E.2"] == {"stage": "E", "place": ["1", "|0", "0", "&0"]}


def test_items_rounds_and_attempts_have_numbers(tmp_path: Path) -> None:
    def answers(request: Request, index: int) -> str:
        replies.append(request.seed + index)
        return "no JSON" if len(replies) == 1 else '{"reasoning": "", "final_answer": "x"}'

    replies: list[int] = []
    made = chain(
        'each(2 * E:a, over="documents") '
        '>> loop(retry(E:a >> J:b:0.5, times=2), until="false", max=2)'
    )
    engines: Any = {"a": FakeEngine(), "b": FakeEngine(answers=answers)}
    found = tables(tmp_path, made, engines)
    assert columns(found["E"], "item", "round", "attempt") == [
        [0, None, None], [0, None, None], [1, None, None], [1, None, None],
    ]  # fmt: skip
    assert columns(found["E.2"], "item", "round", "attempt") == [[None, 0, 1], [None, 1, 0]]
    assert columns(found["J"], "item", "round", "attempt") == [[None, 0, 1], [None, 1, 0]]


def test_a_retried_sample_has_the_number_of_its_attempt(tmp_path: Path) -> None:
    def answers(request: Request, index: int) -> str:
        replies.append(request.seed + index)
        return "no JSON" if len(replies) == 2 else '{"reasoning": "", "final_answer": "x"}'

    replies: list[int] = []
    made = chain("E:a >> retry(3:J:b:0.5, times=4)")
    engines: Any = {"a": FakeEngine(), "b": FakeEngine(answers=answers)}
    found = tables(tmp_path, made, engines)
    assert sorted(one["attempt"] for one in found["J"]) == [0, 0, 1]
    assert [one["place"][-1] for one in found["J"] if one["attempt"]] == ["!1"]


def test_an_op_that_names_its_own_part_has_one_table(tmp_path: Path) -> None:
    text = (
        "op mood : generate { user = '{{ query }}' }\n"
        "main = (fr = mood) >> 2:E >> M >> (mood_ = E)\n"
    )
    found = tables(tmp_path, load(text=text), FakeEngine())
    assert [*found] == ["E", "E.2", "M", "answers", "flattened", "fr", "mood", "mood_"]
    alone = load(text=text.replace("(fr = mood)", "mood"))
    found = tables(tmp_path / "alone", alone, FakeEngine())
    assert [*found] == ["E", "E.2", "M", "answers", "flattened", "mood", "mood_"]
    metadata = json.loads((tmp_path / "alone" / "metadata.json").read_text())
    assert metadata["parts"] == {"mood_": "mood_", "mood": "mood"}


@pytest.mark.parametrize("outputs", [["answer"], ["answer", "candidates", "history"]])
def test_a_run_that_leaves_the_trace_out_has_no_such_tables(
    tmp_path: Path, outputs: list[str]
) -> None:
    found = tables(tmp_path, chain("2:E >> M"), FakeEngine(), outputs=outputs)
    assert [*found] in (["answers", "flattened"], ["flattened"])


@law(chains(), share=2)
def test_every_stage_that_ran_has_one_table(node: Expr) -> None:
    plan = lower(normal_form(node, READERS), READERS, BOUND)
    known = StageTables.of(plan.root)
    assert len(known.folders) == len(known.tables)
    for outcome in ran(node, [start(2), start(3)], shaky(), 2).values():
        for _, entry in trace_of(outcome.flow) if outcome.flow else ():
            fits = [
                one
                for one in known.tables
                if one.stage == entry.stage
                and one.arms in ((), entry.arms)
                and one.numbers(entry.place) is not None
            ]
            assert len(fits) == 1
            assert len(known.columns(entry)[1]) == len(entry.candidates)


def test_stages_in_the_arms_of_a_route_have_tables_of_their_own(tmp_path: Path) -> None:
    made = chain(
        '2:E >> route(by="kind", arms={"a": 3:E:a >> J, "b": E:b >> V >> J}, default=E:c >> J)'
    )
    rows = [{"id": kind, "query": "?", "kind": kind} for kind in ("a", "b", "c", "a")]
    for number, row in enumerate(rows):
        row["id"] += str(number)
    made.run(rows, tmp_path, engine=FakeEngine())
    found = {
        one.parent.name: [json.loads(line)["id"] for line in one.read_text().splitlines()]
        for one in tmp_path.glob("*/000.jsonl")
    }
    assert (found["E.2"], found["E.3"], found["E.4"]) == (
        ["a0"] * 3 + ["a3"] * 3, ["b1"], ["c2"],
    )  # fmt: skip
    assert (found["J"], found["J.2"], found["J.3"]) == (["a0", "a3"], ["b1"], ["c2"])
    stages = json.loads((tmp_path / "metadata.json").read_text())["stages"]
    assert stages["E.3"] == {"stage": "E", "place": ["1", "0"], "arms": ["b"]}
    assert stages["E.4"]["arms"] == ["*"]
    assert "arms" not in stages["E"]


def test_nested_arms_and_arms_that_repeat_have_tables_of_their_own(tmp_path: Path) -> None:
    inner = 'route(by="more", arms={"x": E:x, "y": E:y})'
    made = chain(f'route(by="kind", arms={{"a": {inner}, "b": each({inner}, over="documents")}})')
    rows = [
        {"id": f"{kind}{more}", "query": "?", "kind": kind, "more": more, "documents": [1, 2]}
        for kind in "ab"
        for more in "xy"
    ]
    made.run(rows, tmp_path, engine=FakeEngine())
    found = {
        name: [json.loads(line)["id"] for line in lines(tmp_path / name)]
        for name in ("E", "E.2", "E.3", "E.4")
    }
    assert found == {"E": ["ax"], "E.2": ["ay"], "E.3": ["bx", "bx"], "E.4": ["by", "by"]}


def _broken(request: Request, index: int) -> str:
    return "no JSON" if request.schema else f"{request.model} {index}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2:E:a >> J:b", {"E": ["a 0", "a 1"]}),
        ("(2:E:a & E:c) >> E:d >> J:b", {"E": ["a 0", "a 1"], "E.2": ["c 0"], "E.3": ["d 0"]}),
        ("(E:a & (E:c >> J:b) & E:d) >> M", {"E": ["a 0"], "E.2": ["c 0"]}),
        ("fallback(E:a >> J:b, E:c >> J:b)", {"E": ["a 0"], "E.2": ["c 0"]}),
        ("(x = E:a) >> (J:b | E:c)", {"E": ["a 0"], "E.2": ["c 0"], "x": None}),
        ("E:a | (E:c >> J:b)", {"E": ["a 0"], "E.2": ["c 0"]}),
    ],
)
def test_a_row_that_fails_keeps_the_candidates_of_its_stages(
    text: str, expected: dict[str, Any], tmp_path: Path
) -> None:
    engine = FakeEngine(answers=_broken)
    summary = chain(text).run([ROW], tmp_path, engine=engine)
    assert summary.failed == 1
    for name, answers in expected.items():
        if answers is not None:
            rows = [json.loads(line) for line in lines(tmp_path / name)]
            assert [one["answer"] for one in rows] == answers
            assert all({"place", "item", "round", "attempt"} <= one.keys() for one in rows)
    again = chain(text).run([ROW], tmp_path, engine=FakeEngine(answers=_broken))
    assert again.failed == 1


def test_the_samples_that_succeed_of_a_stage_that_fails_are_kept(tmp_path: Path) -> None:
    def answers(request: Request, index: int) -> str:
        seeds.append(request.seed + index)
        return "no JSON" if len(seeds) == 2 else '{"reasoning": "", "final_answer": "x"}'

    seeds: list[int] = []
    engines: Any = {"a": FakeEngine(), "b": FakeEngine(answers=answers)}
    chain("E:a >> 3:J:b:0.5").run([ROW], tmp_path, engine=engines)
    rows = [json.loads(line) for line in lines(tmp_path / "J")]
    assert [(one["answer"], one["candidate"]) for one in rows] == [("x", 0), ("x", 1)]


def test_an_op_in_two_arms_that_names_its_own_part_has_one_table(tmp_path: Path) -> None:
    text = (
        "op mood : generate { user = '{{ query }}' }\n"
        'main = route(by="id", arms={"r": mood, "s": mood >> E}) >> J\n'
    )
    found = tables(tmp_path, load(text=text), FakeEngine())
    assert [*found] == ["J", "answers", "flattened", "mood"]

"""Examples of an op: which of them a prompt has, and as what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chainlang import E, join, load, op
from chainlang.api.chain import Chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import LimitError
from chainlang.limits import Limits
from chainlang.semantics.input_schema import record_of
from chainlang.semantics.reference import interpret
from tests.running.test_turns import Asked

SUMS = [{"query": f"{one} + 1?", "answer": str(one + 1)} for one in range(6)]


def turns(made: Any, row: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the messages of the last request for a row, without the last."""
    asked = Asked()
    made(row, engine=asked.engine)
    assert asked.last[-1][0] == "user"
    return asked.last[:-1]


def shown(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return [one for row in rows for one in (("user", row["query"]), ("assistant", row["answer"]))]


def test_each_example_is_a_turn_by_the_template_of_the_op() -> None:
    made = op("add", system="Add.", user="Q: {{ query }}", examples=SUMS[:2])()
    assert turns(made, {"query": "9 + 1?"}) == [
        ("system", "Add."),
        ("user", "Q: 0 + 1?"),
        ("assistant", "1"),
        ("user", "Q: 1 + 1?"),
        ("assistant", "2"),
    ]


def test_the_row_itself_is_no_example_and_the_next_takes_its_place() -> None:
    made = op("add", user="{{ query }}", examples=SUMS, examples_count=2)()
    assert turns(made, {"query": "9 + 1?"}) == shown(SUMS[:2])
    assert turns(made, {"query": "0 + 1?"}) == shown(SUMS[1:3])
    every = op("add", user="{{ query }}", examples=SUMS)()
    assert turns(every, {"query": "3 + 1?"}) == shown([*SUMS[:3], *SUMS[4:]])


def test_a_random_choice_depends_on_the_row_the_place_and_the_seed_of_the_run() -> None:
    made = op("add", user="{{ query }}", examples=SUMS, examples_count=3, examples_order="random")()
    rows = [{"id": str(number), "query": "9 + 1?"} for number in range(20)]
    first = [turns(made, row) for row in rows]
    assert first == [turns(made, row) for row in rows]
    assert len({str(one) for one in first}) > 10
    assert all(len({text for _, text in one}) == 6 for one in first)
    asked = Asked()
    [*made.map(rows, engine=asked.engine, seed=1)]
    again = [[(one.role, one.text) for one in it.messages[:-1]] for it in asked.requests]
    assert sorted(map(str, again)) != sorted(map(str, first))


def test_the_interpreter_and_the_runtime_choose_the_same() -> None:
    made = op("add", user="{{ query }}", examples=SUMS, examples_count=2, examples_order="random")
    chain = (3 * made("tiny", 2, 0.7)).as_chain()
    for number in range(5):
        row = {"id": str(number), "query": "1 + 1?"}
        flow = interpret(chain.body, record_of(row), FakeEngine().complete, declared=chain.items)
        result = chain(row, engine=FakeEngine())
        assert flow.candidates == result.candidates  # type: ignore[union-attr]


def test_a_typed_reply_is_the_json_of_its_fields_in_their_order() -> None:
    made = load(
        text="""
        input { text: str, lang: str = "en", query = "{{ lang }}: {{ text }}" }
        op mood : generate -> { mood: "pos" | "neg", why: str(..9)? } {
          examples = '{"why": "é", "text": "Bof.", "lang": "fr", "mood": "neg"}'
          user = "{{ query }}"
        }
        op stars : generate -> int(1..5) {
          examples = '{"text": "Great!", "answer": 5}' user = "{{ query }}"
        }
        op better : map { examples = '{"text": "", "candidate": {"answer": "a"}, "answer": "b"}'
          user = "Better than {{ candidate.answer }}?"
        }
        main = mood | stars >> better
        """
    )
    asked = Asked()
    made({"text": "Wow!"}, engine=asked.engine)
    said = [
        [(one.role, one.text) for one in it.messages[:-1] if one.role != "system"]
        for it in asked.requests
    ]
    assert [("user", "fr: Bof."), ("assistant", '{"mood": "neg", "why": "é"}')] in said
    assert [("user", "en: Great!"), ("assistant", "5")] in said
    assert [("user", "Better than a?"), ("assistant", "b")] in said


def test_one_of_a_list_of_the_row_is_one_of_the_list_of_the_example() -> None:
    text = """
        op pick : generate -> one("choices") {
          examples = '{"query": "?", "choices": ["a", "b"], "answer": "b"}' user = "{{ query }}"
        }
        main = pick
    """
    row = {"query": "!", "choices": ["x", "y"]}
    system, *shown = turns(load(text=text), row)
    assert system == ("system", "Reply in JSON: one of the choices that are given")
    assert shown == [("user", "?"), ("assistant", '"b"')]


def test_examples_of_a_file_are_part_of_the_chain(tmp_path: Path) -> None:
    (tmp_path / "a.chain").write_text(
        'op add : generate { examples = "shots/sums.jsonl" user = "{{ query }}" }\nmain = add\n'
    )
    shots = tmp_path / "shots" / "sums.jsonl"
    shots.parent.mkdir()
    shots.write_text('{"query": "0 + 1?", "answer": "1"}\n')
    made = load(tmp_path / "a.chain")
    shots.write_text('{"query": "0 + 1?", "answer": "one"}\n')
    other = load(tmp_path / "a.chain")
    assert made != other
    shots.unlink()
    for one in (made, Chain.from_json(made.to_json()), load(text=str(made))):
        assert one == made
        assert turns(one, {"query": "?"}) == shown(SUMS[:1])


def test_a_file_of_examples_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a.chain").write_text(
        'op add : generate { examples = "shots.jsonl" user = "{{ query }}" }\nmain = add\n'
    )
    (tmp_path / "shots.jsonl").write_text('{"query": "0 + 1?", "answer": "1"}\n' * 9)
    with Limits(source_bytes=200).applied(), pytest.raises(LimitError):
        load(tmp_path / "a.chain")


def test_predicted_prompt_tokens_count_the_examples() -> None:
    made = op("add", user="{{ query }}", examples=SUMS, examples_count=2)()
    rows = [{"query": "0 + 1?"}, {"query": "what is 9 + 1?"}]
    found = made.explain(rows, engine=FakeEngine(), analyze=True)
    (predicted,) = found.estimate.models.values()
    assert found.actual is not None
    (actual,) = found.actual.engines.values()
    tokens = predicted.cost.prompt_tokens
    assert tokens.least == tokens.most == actual.usage.prompt_tokens


@pytest.mark.parametrize("order", ["given", "random"])
def test_predicted_prompt_tokens_bound_those_of_examples_that_are_not_known(order: Any) -> None:
    made = op("add", user="{{ draft.answer }}", examples=[
        {"draft": {"answer": "a"}, "answer": "x" * 99}, {"draft": {"answer": "3"}, "answer": ""},
    ], examples_count=1, examples_order=order)()  # fmt: skip
    found = (join(draft=E) >> made).explain(["q"] * 5, engine=FakeEngine(), analyze=True)
    (predicted,) = found.estimate.models.values()
    assert found.actual is not None
    (actual,) = found.actual.engines.values()
    tokens = predicted.cost.prompt_tokens
    assert tokens.least <= actual.usage.prompt_tokens
    assert tokens.most is None or actual.usage.prompt_tokens <= tokens.most

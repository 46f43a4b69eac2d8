"""Few-shot examples and better prompts: what is chosen, and what it may cost."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import chain, load, op
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError
from chainlang.evaluation import improve, shots, texts_of, with_texts
from chainlang.protocol.messages import Request

ROWS = [{"query": f"{n} + 1", "answer": str(n + 1)} for n in range(40)]
ASK = load(text='op ask : generate { system = "Answer." user = "{{ query }}" }\nmain = ask:m')


def adds(request: Request, number: int) -> str:
    """Return the sum if the system text says to add, and a guess else."""
    said = request.messages[0].text
    if request.model == "big":  # which reflects
        return "```\nAdd the two numbers. Say the sum alone.\n```"
    right = int(request.messages[-1].text.split()[0]) + 1
    return str(right if "Add" in said or right % 4 == 0 else 0)


def improved(**more: Any) -> Any:
    given: dict[str, Any] = {"texts": ["ask.system"], "budget": 5_000} | more
    engine = FakeEngine(answers=adds)
    return improve(ASK, ROWS, reflect=chain("E:big"), engine=engine, **given)


def test_a_better_text_is_found_and_shown_on_rows_that_were_held_out() -> None:
    found = improved()
    assert texts_of(found.chain)["ask.system"] == "Add the two numbers. Say the sum alone."
    assert found.comparison.second.accuracy == 1
    assert found.comparison.won > found.comparison.lost == 0
    assert found.comparison.rows == 12
    assert "versions tried" in str(found)


def test_a_budget_is_kept_but_for_a_batch() -> None:
    small = improved(budget=100)
    assert small.spent <= 100 + 14 * 30
    assert texts_of(small.chain) == texts_of(ASK)
    assert improved(budget=1).tried <= 1


def test_a_text_that_is_no_template_is_a_wrong_version() -> None:
    def breaks(request: Request, number: int) -> str:
        return "```\n{{ nothing\n```" if request.model == "big" else adds(request, number)

    engine = FakeEngine(answers=breaks)
    found = improve(ASK, ROWS, reflect="E:big", texts=["ask.system"], budget=5_000, engine=engine)
    assert texts_of(found.chain) == texts_of(ASK)


def test_texts_can_be_replaced_by_hand() -> None:
    made = with_texts(ASK, {"ask.system": "Other."})
    assert texts_of(made) == {"ask.system": "Other.", "ask.user": "{{ query }}"}
    with pytest.raises(ChainlangError, match="template"):
        with_texts(ASK, {"ask.user": "{{ query"})


def test_wrong_arguments_are_errors() -> None:
    with pytest.raises(ChainlangError, match=r"its texts: ask.system, ask.user"):
        improved(texts=["ask.sytem"])
    with pytest.raises(ChainlangError, match="this chain has no op"):
        improve("E:m", ROWS, reflect="E:big", budget=1)
    with pytest.raises(ChainlangError, match="3 rows are too few"):
        improve(ASK, ROWS[:3], reflect="E:big", budget=1)


def test_examples_are_rows_that_the_chain_has_right() -> None:
    engine = FakeEngine(answers=adds)
    found = shots(ASK, ROWS, count=3, engine=engine)
    assert found == shots(ASK, ROWS, count=3, engine=engine)
    assert all(one["answer"] == str(int(one["query"].split()[0]) + 1) for one in found)
    assert all(int(one["answer"]) % 4 == 0 for one in found)
    taught = op("taught", kind="generate", user="{{ query }}", examples=found)
    seen: list[int] = []

    def look(request: Request, number: int) -> str:
        seen.append(len(request.messages))
        return "x"

    taught("m")(query="1 + 1", engine=FakeEngine(answers=look))
    assert seen == [7]
    with pytest.raises(ChainlangError, match="99 examples are wanted, and 10 rows are answered"):
        shots(ASK, ROWS, count=99, engine=engine)

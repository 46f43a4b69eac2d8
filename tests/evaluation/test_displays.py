"""Pages of evaluations in notebooks: every row that matters, and nothing that a browser obeys."""

from __future__ import annotations

from typing import Any

import pytest

from chainlang import E, M, chain
from chainlang.engines.fake import FakeEngine
from chainlang.evaluation import compare, evaluate, pick, sweep, tune

BAD = "<script>alert(1)</script>"
ROWS = [{"query": f"{n}{BAD}", "answer": str(n % 3)} for n in range(60)]


def engine() -> FakeEngine:
    return FakeEngine(answers=lambda request, number: str((request.seed + number) % 3))


MADE = {
    "evaluation": lambda: evaluate(chain("E:m"), ROWS, engine=engine()),
    "comparison": lambda: compare("E:m", "3:E:m >> M", ROWS, engine=engine()),
    "sweep": lambda: sweep(E("m", pick(1, 3)) >> M, ROWS, engine=engine()),
    "tuning": lambda: tune(E("m", pick(1, 3)) >> M, ROWS, batch=10, engine=engine()),
}


@pytest.mark.parametrize("name", MADE)
def test_a_notebook_shows_a_table(name: str) -> None:
    made: Any = MADE[name]()
    shown = made._repr_mimebundle_()
    assert shown["text/plain"] == str(made)
    assert shown["text/html"].count("<table>") == 1
    assert "<script" not in shown["text/html"]
    if name in ("sweep", "tuning"):
        assert shown["text/html"].count("<tr>") == 3
    else:
        assert "more</div>" in shown["text/html"] or shown["text/html"].count("<tr>") > 10

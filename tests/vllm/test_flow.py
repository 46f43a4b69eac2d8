"""Results flow on vLLM: the first row of many does not share its steps with all of them."""

from __future__ import annotations

import pytest

from chainlang import chain
from chainlang.engines.protocol import Engine


@pytest.mark.parametrize(
    "text", ["9:E:tiny:0.7 >> J:tiny", "3:E:tiny:0.7 >> M", "E:tiny >> V:tiny"]
)
def test_few_requests_are_made_before_the_first_row_is_done(tiny_engine: Engine, text: str) -> None:
    rows = [{"query": f"What is {number} + 17?"} for number in range(150)]
    before = tiny_engine.metrics.requests
    results = chain(text).map(rows, engine=tiny_engine, ordered=False, on_error="collect")
    next(results)
    begun = tiny_engine.metrics.requests - before
    assert len(list(results)) == len(rows) - 1
    assert begun < (tiny_engine.metrics.requests - before) / 2

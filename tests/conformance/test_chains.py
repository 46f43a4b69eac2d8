"""A whole chain over a real server: what it gives on the same model in this process."""

from __future__ import annotations

import pytest

from chainlang import chain, tiny
from chainlang.engines.openai.engine import OpenAIEngine
from chainlang.engines.vllm.engine import VllmEngine
from tests.conformance.engines import Place

CHAIN = chain("(vote = 5:E:tiny:0.7 >> M) & (3:E:tiny:1.0 >> J:tiny:0) & 2:E:tiny:0.3 & E:tiny:0")
ROWS = [{"id": str(left), "query": f"What is {left} + {left * 7 % 50}?"} for left in range(11, 31)]


@pytest.mark.vllm
def test_a_server_and_this_process_draw_the_same_from_one_model(place: Place) -> None:
    server = OpenAIEngine("tiny", base_url=place.served())
    here = VllmEngine(tiny.path(), max_num_seqs=64)
    try:
        over, wanted = (list(CHAIN.map(ROWS, engine=engine)) for engine in (server, here))
    finally:
        server.close()
        here.close()
    opening = len(here.reader.prompts.beginning('{"reasoning": ')[0])
    for one, other in zip(over, wanted, strict=True):
        assert one.ok == other.ok
        if one.ok:
            assert one["responses"] == other["responses"]
            assert one["vote"]["votes"] == other["vote"]["votes"]
        assert one.usage.calls == other.usage.calls
        # Here the beginning of a judge's reply is a part of its prompt, with the same tokens.
        given = one.usage.output_tokens - other.usage.output_tokens
        assert one.usage.prompt_tokens + given == other.usage.prompt_tokens
        assert given == opening or not one.ok
    assert sum(one.ok for one in over) > len(ROWS) // 2, [one.failure for one in over]

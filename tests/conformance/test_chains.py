"""A whole chain over a real server: what it gives on the same model in this process."""

from __future__ import annotations

from pathlib import Path

from chainlang import load
from chainlang.engines.openai import OpenAIEngine
from chainlang.engines.vllm import VllmEngine
from tests.conformance.engines import Place

CHAIN = load(
    text="""
op pick : fold -> { score: int(1..5), final: "a" | "b" | "c" } {
  answer = "final"
  user = "{{ query }}{% for one in candidates %} {{ one.answer }}{% endfor %}. Pick."
}
op tell : generate { max_tokens = 12  temperature = 0.7  user = "{{ query }} Tell." }
main = ((told = 3:tell >> 2:pick::1.0) >> M) & tell::0(stop="1")
"""
)
ROWS = [{"id": str(left), "query": f"What is {left} + {left * 7 % 50}?"} for left in range(1, 13)]


def test_a_server_and_this_process_draw_the_same_from_one_model(
    place: Place, tmp_path: Path
) -> None:
    server = OpenAIEngine("tiny", base_url=place.served())
    here = VllmEngine(place.model(), max_num_seqs=64)
    try:
        over, wanted = (list(CHAIN.map(ROWS, engine=engine)) for engine in (server, here))
    finally:
        server.close()
        here.close()
    assert [result.ok for result in over] == [result.ok for result in wanted]
    assert sum(result.ok for result in over) > len(ROWS) // 2, [one.failure for one in over]
    for one, other in zip(over, wanted, strict=True):
        if one.ok:
            assert [found.text for found in one.candidates] == [
                found.text for found in other.candidates
            ]
            assert one["told"].answer == other["told"].answer
        assert one.usage.calls == other.usage.calls
        assert one.usage.prompt_tokens == other.usage.prompt_tokens

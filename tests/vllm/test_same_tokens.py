"""The runtime, without passes and with all, against the reference on real vLLM (float32, CPU).

Equal, token for token. No token stands in this file: both sides are computed here, on a model with
random weights, whose words are as unsure as words can be.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from chainlang import ChainlangWarning, load
from chainlang.engines.vllm.engine import VllmEngine
from tests.laws import few_of, in_the_soak
from tests.vllm.same_tokens import hold_to_the_reference

OPS = """
op pick : fold -> { why: str(1..8), final: "a" | "b" | "c" } {
  answer = "final"
  user = "{{ query }}{% for one in candidates %} {{ one.answer }}{% endfor %}. Pick."
}
op rate : map -> { score: int(1..5), sure: bool } {
  user = "{{ query }} {{ candidate.answer }}. Rate."
}
op word : fold -> { word: one("words") } {
  answer = "word"
  user = "{{ query }}{% for one in candidates %} {{ one.answer }}{% endfor %}. Which?"
}
op tell : generate {
  max_tokens = 12  cut = "keep"  temperature = 0.7  user = "{{ query }} Tell."
}
"""
CHAINS = [
    "tell",
    "5:tell >> M",
    "3:tell::1.0 >> pick",
    "2:tell >> rate",
    "3:tell::0 >> M",
    '3:tell >> 3:pick::0.7 >> M(by="final")',
    "3:tell >> pick >> rate::1.3",
    'E(max_tokens=9, cut="keep") >> 2:E(max_tokens=9, cut="keep") >> M',
    "((fr = 2:tell) & (es = 2:tell::1.5 >> M)) >> pick::0.7",
    "2:tell >> (pick | rate::0.7 | M)",
    "(tell | tell::1.3) >> pick",
    "3 * (2:tell >> M) >> M",
    '4:tell::0.9(top_p=0.8, max_tokens=3, stop="a") >> M(normalize="number")',
    "2:tell >> 2:rate::0.7 >> 2:pick::0.7",
    "fallback(3:tell >> rate::0.7(max_tokens=3), 2:tell::1.3) >> pick",
    "3:tell >> retry(2:pick::1.3(max_tokens=24), times=4)",
    "2:tell >> fallback(retry(3:rate::0.7(max_tokens=16)) >> M, retry(tell >> pick))",
    'loop(tell >> rate::0.7, until="score >= 4", max=4)',
    'loop((draft = tell), until="false") >> loop(pick::0.7, until=@sure, max=2)',
    'route(by="kind", arms={"even": 3:tell >> pick, "odd": 2 * (tell >> rate)}, default=tell::0)',
    'tell >> route(by=@length, arms={"long": rate::0.7, "short": 2:tell})',
    'each(2:tell >> retry(pick::0.7(max_tokens=24)), over="words", item="query") >> M',
    "timeout((x = 2:tell) & each(tell::1.3, over='[1, 2]'), seconds=1000) >> @longest >> rate::0.7",
    "3:tell >> @halves >> @later >> M",
    "2:tell >> 3:word::0.9 >> M",
]


def sure(answer: object) -> bool:
    return answer == "a"


def length(answer: str) -> str:
    return "long" if len(answer) > 24 else "short"


def longest(answers: list[str]) -> str:
    return max(answers, key=len)


def halves(answer: str) -> list[str]:
    return [answer[: len(answer) // 2], answer[len(answer) // 2 :]]


async def later(answer: str) -> str | None:
    return answer or None


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sure": sure,
    "length": length,
    "longest": longest,
    "halves": halves,
    "later": later,
}
ROWS = [
    {
        "id": str(number),
        "query": f"What is {left} + {right}?",
        "kind": ["even", "odd", "none"][number % 3],
        "words": [f"{left}?", f"{right}?"],
    }
    for number, (left, right) in enumerate([(17, 25), (8, 91), (340, 56), (5, 5), (77, 68)])
]


@few_of("text", len(CHAINS), CHAINS)
def test_the_runtime_draws_the_tokens_of_the_reference(
    text: str, random_engine: VllmEngine
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ChainlangWarning)  # some branch like a pipe, on purpose
        named = {name: one for name, one in FUNCTIONS.items() if f"@{name}" in text}
        made = load(text=f"{OPS}\nmain = {text}", functions=named)
    hold_to_the_reference(made, random_engine, ROWS if in_the_soak() else ROWS[:3])

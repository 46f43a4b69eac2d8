"""The block bound, against what it says of itself: every order of the prompts, block by block."""

from __future__ import annotations

import tracemalloc
from itertools import permutations

import pytest
from hypothesis import strategies as st

from chainlang.plan.prefix_cache_bound import Prefixes, Seen, bound
from tests.laws import law

# Few different tokens and blocks of two, so that prompts share, contain and equal each other.
prompts = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=9).map(tuple), max_size=5)


def computed(order: tuple[tuple[int, ...], ...], block: int) -> int:
    """Return what is computed of prompts that are asked in an order, if nothing is forgotten."""
    kept: set[tuple[int, ...]] = set()
    total = 0
    for prompt in order:
        full = [prompt[: block * n] for n in range(1, len(prompt) // block + 1)]
        found = 0
        for one in full[: (len(prompt) - 1) // block]:
            if one not in kept:
                break
            found += 1
        total += len(prompt) - block * found
        kept.update(full)
    return total


@law(prompts, st.integers(1, 4), share=2)
def test_it_is_what_the_best_order_computes(asked: list[tuple[int, ...]], block: int) -> None:
    assert bound(asked, block) == min(computed(order, block) for order in permutations(asked))


@law(prompts, st.integers(1, 4), st.integers(0, 4), share=2)
def test_a_prompt_that_is_asked_again_and_again_is_added_at_once(
    asked: list[tuple[int, ...]], block: int, times: int
) -> None:
    prefixes = Prefixes(block)
    repeated = [prompt for prompt in asked for _ in range(times)]
    assert sum(prefixes.add(prompt, times) for prompt in asked) == bound(repeated, block)


@law(prompts, share=2)
def test_an_engine_that_keeps_nothing_computes_everything(asked: list[tuple[int, ...]]) -> None:
    prefixes = Prefixes(None)
    assert [prefixes.add(prompt) for prompt in asked] == [len(prompt) for prompt in asked]


@pytest.mark.slow
def test_a_hash_takes_little_memory() -> None:
    tracemalloc.start()
    try:
        seen = Seen()
        for number in range(1, 20_000):
            seen.add(hash((number, number)))
        current, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert current < 20_000 * 33


@law(
    st.lists(st.integers(-200, 200) | st.integers(0, 9).map(lambda n: n << 32), max_size=300),
    share=2,
)
def test_a_hash_is_seen_once(numbers: list[int]) -> None:
    seen, known = Seen(), set[int]()
    for number in (one or 7 for one in numbers):  # 0 and 1 are one hash
        assert (number in seen) == (number in known)
        assert seen.add(number) == (number not in known)
        known.add(number)

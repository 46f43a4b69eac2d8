"""4,000 mutated inputs into each entry, or a share of them: only our own errors, each in time.

They are the same in each run, so that more of them say little; `make soak` tries others.
"""

from __future__ import annotations

import os

import pytest

from .entries import ENTRIES, hunt, shrunk

INPUTS = 4_000
CHUNK = 800
SEED = os.environ.get(
    "CHAINLANG_FUZZ_SEED", "0"
)  # the same inputs each time, unless asked for others


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "chunk"),
    [(name, n) for name, one in ENTRIES.items() for n in range(INPUTS // CHUNK // one.share)],
)
def test_mutated_inputs(name: str, chunk: int) -> None:
    failure = hunt(name, f"{SEED} {chunk}", CHUNK)
    if failure is not None:
        least = shrunk(name, failure)
        pytest.fail(
            f"seed {SEED}, chunk {chunk}: {failure.text!r}\nminimal: {least.text!r}\n{least.shown}"
        )

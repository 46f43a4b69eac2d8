"""Laws: what holds for every chain, each a short test over random nodes.

The profile says how many examples a law is tried with, and how many seeds: see `tests/conftest.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

Test = Callable[..., None]
CI = 200
"""The examples of the profile `ci`, which a test's own numbers refer to."""
QUICK = 5
"""The examples of the profile `quick`."""
SHALLOW = 50
"""The examples under `ci` of a law of a pure function, or that fails at once where it fails."""


def law(
    *given_by: SearchStrategy[Any], share: int = 1, ci: int | None = None
) -> Callable[[Test], Test]:
    """Make a test a law: it holds for everything that the strategies give.

    `share` divides the examples of each profile: for a law whose one example costs as much as many.
    `ci` is the number of examples of the profile `ci`, if it is not the share: for a law which is
    so shallow that many examples say no more than a few, or which only the soak can try in full.
    """
    examples = max(1, settings().max_examples // share)
    if ci is not None and settings().max_examples == CI:
        examples = ci
    chosen = settings(max_examples=examples)
    return lambda test: pytest.mark.law(chosen(given(*given_by)(test)))


def in_the_soak() -> bool:
    """Return whether this is a long run, with full counts."""
    return settings().max_examples > CI


def fewer(count: int, quick: int) -> int:
    """Return a number of rows or repetitions: `count`, or `quick` under the profile `quick`."""
    return quick if settings().max_examples == QUICK else count


def few_of(name: str, count: int, values: Sequence[Any]) -> Callable[[Test], Test]:
    """Try a test with all values in the soak, and with the first `count` under other profiles."""
    chosen = values if in_the_soak() else values[:count]
    return lambda test: pytest.mark.law(pytest.mark.parametrize(name, chosen)(test))


def seeds(count: int, name: str = "seed") -> Callable[[Test], Test]:
    """Try a test with so many seeds under the profile `ci`, and with as many more under others."""
    numbers = range(max(1, count * settings().max_examples // CI))
    return lambda test: pytest.mark.law(pytest.mark.parametrize(name, numbers)(test))

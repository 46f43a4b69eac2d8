"""Stopping rules of votes: the exact one, and two lossy ones from papers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from chainlang.semantics.record import Candidate
from chainlang.semantics.voting import ANSWERS, Counting, still_needed, tally

Rule: TypeAlias = Literal["exact", "adaptive_consistency", "early_stopping_consistency"]
"""``exact``, or the name of the pass with another rule."""
RULES: tuple[Rule, ...] = get_args(Rule)

THRESHOLD = 0.95
"""Required probability that the leader wins, for adaptive consistency."""
WINDOW = 5
"""Number of samples that have to agree, for early-stopping self-consistency."""


def needed(rule: Rule, found: Sequence[Candidate], left: int, how: Counting = ANSWERS) -> int:
    """Return the size of the next wave of a vote; 0 if the vote ends.

    `left` is the maximum number of further samples. Every rule ends a vote whose winner is certain.

    >>> [needed(rule, [], 40) for rule in RULES]
    [20, 4, 5]
    """
    exact = still_needed(found, left, how)
    if rule == "exact" or exact == 0:
        return exact
    votes = sorted(tally(found, how).values())
    if rule == "adaptive_consistency":
        lead, second = (votes[-1:] or [0])[0], sum(votes[-2:-1])
        more = 0
        while more < exact and likely(lead + more, second) <= THRESHOLD:
            more += 1
        return more
    begun = len(found) % WINDOW
    if found and not begun and agree(found[-WINDOW:], how):
        return 0
    return min(left, WINDOW - begun)


def agree(found: Sequence[Candidate], how: Counting = ANSWERS) -> bool:
    """Return whether several candidates have the same answer.

    >>> agree([Candidate("a"), Candidate(" a")]), agree([Candidate("a")])
    (True, False)
    """
    return len(found) > 1 and [*tally(found, how).values()] == [len(found)]


def likely(lead: int, second: int) -> float:
    """Return the probability that the leader of a vote is the more likely of two answers.

    It is the posterior under a uniform prior, P(p > 1/2) for p ~ Beta(lead + 1, second + 1), which
    is the stopping criterion of adaptive consistency (Aggarwal et al., EMNLP 2023).

    >>> round(likely(0, 0), 3), round(likely(3, 0), 4), round(likely(4, 0), 4)
    (0.5, 0.9375, 0.9688)
    """
    number = lead + second + 1
    # The rest is a tail of a binomial distribution, whose terms decrease from here on.
    chosen = math.lgamma(number + 1) - math.lgamma(lead + 2) - math.lgamma(second + 1)
    term = math.exp(chosen - number * math.log(2))
    rest, at = 0.0, lead + 1
    while at <= number and term > 0.0 and rest + term != rest:
        rest += term
        term *= (number - at) / (at + 1)
        at += 1
    return 1.0 - rest

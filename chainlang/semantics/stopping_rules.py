"""When a vote may end: the exact rule, and those of two papers, which may be wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from chainlang.semantics.record import Candidate
from chainlang.semantics.voting import still_needed, tally

Rule: TypeAlias = Literal["exact", "adaptive_consistency", "early_stopping_consistency"]
"""``exact``, or the name of the pass that chose another rule."""
RULES: tuple[Rule, ...] = get_args(Rule)

THRESHOLD = 0.95
"""How likely it has to be that the leader is the more likely answer, for adaptive consistency."""
WINDOW = 5
"""How many samples have to agree, for early-stopping self-consistency."""


def needed(
    rule: Rule,
    found: Sequence[Candidate],
    left: int,
    by: str | None = None,
    normalize: str | None = None,
) -> int:
    """Return how many more samples a vote draws next; 0 where it ends.

    `left` is how many there may still be. A vote that is decided ends by any rule.

    >>> [needed(rule, [], 40) for rule in RULES]
    [20, 4, 5]
    """
    exact = still_needed(found, left, by, normalize)
    if rule == "exact" or exact == 0:
        return exact
    votes = sorted(tally(found, by, normalize).values())
    if rule == "adaptive_consistency":
        lead, second = (votes[-1:] or [0])[0], sum(votes[-2:-1])
        more = 0
        while more < exact and likely(lead + more, second) <= THRESHOLD:
            more += 1
        return more
    begun = len(found) % WINDOW
    if found and not begun and agree(found[-WINDOW:], by, normalize):
        return 0
    return min(left, WINDOW - begun)


def agree(found: Sequence[Candidate], by: str | None = None, normalize: str | None = None) -> bool:
    """Return whether several candidates all have one answer.

    >>> agree([Candidate("a"), Candidate(" a")]), agree([Candidate("a")])
    (True, False)
    """
    return len(found) > 1 and [*tally(found, by, normalize).values()] == [len(found)]


def likely(lead: int, second: int) -> float:
    """Return how likely it is that the leader of a vote is the more likely one of two answers.

    It is the posterior under a uniform prior, P(p > 1/2) for p ~ Beta(lead + 1, second + 1), which
    is the stopping criterion of adaptive consistency (Aggarwal et al., EMNLP 2023).

    >>> round(likely(0, 0), 3), round(likely(3, 0), 4), round(likely(4, 0), 4)
    (0.5, 0.9375, 0.9688)
    """
    number = lead + second + 1
    # The rest is a tail of a binomial distribution, whose terms get smaller from here on.
    chosen = math.lgamma(number + 1) - math.lgamma(lead + 2) - math.lgamma(second + 1)
    term = math.exp(chosen - number * math.log(2))
    rest, at = 0.0, lead + 1
    while at <= number and term > 0.0 and rest + term != rest:
        rest += term
        term *= (number - at) / (at + 1)
        at += 1
    return 1.0 - rest

"""End a vote once its leader is probably the winner. Lossy."""

from __future__ import annotations

from chainlang.optimizer.end_votes_by import ended_by
from chainlang.optimizer.rewrite import Rewritten
from chainlang.plan.steps import Plan


def adaptive_consistency(plan: Plan) -> Rewritten[Plan]:
    """End a vote once its leader beats the second answer with 95 % probability. Lossy.

    This is adaptive consistency (Aggarwal et al., EMNLP 2023) with its Beta criterion: four equal
    samples end a vote of any width. Samples are requested in waves of the smallest size that could
    end the vote, so there are no more of them than one by one.

    Lossy: the remaining samples might have overtaken the leader, and a result has the votes and
    samples so far. The event of an ended vote is in the result. Applies to votes directly after a
    sampling stage, unless that is a map or has a name.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> from chainlang.plan.render import render
    >>> print(render(adaptive_consistency(lower(chain("9:E >> M").body)).made))
    models: tiny
    results may differ: adaptive_consistency
    until it is decided, by adaptive_consistency
      generate 9 × E  tiny  T=0.7  max_tokens=1024  at 0
      vote
    """
    return ended_by("adaptive_consistency", plan)

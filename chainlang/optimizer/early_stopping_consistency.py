"""End a vote after a window of equal samples. Lossy."""

from __future__ import annotations

from chainlang.optimizer.end_votes_by import ended_by
from chainlang.optimizer.rewrite import Rewritten
from chainlang.plan.steps import Plan


def early_stopping_consistency(plan: Plan) -> Rewritten[Plan]:
    """End a vote after a window of five equal samples. Lossy.

    This is early-stopping self-consistency (Li et al., ICLR 2024): samples are requested in
    windows, and the first unanimous window ends the vote, whatever came before it.

    Lossy: the remaining samples might have changed the winner, and a result has the votes and
    samples so far. The event of an ended vote is in the result. Applies to votes directly after a
    sampling stage, unless that is a map or has a name.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> early_stopping_consistency(lower(chain("40:E >> M").body)).made.root.rule
    'early_stopping_consistency'
    """
    return ended_by("early_stopping_consistency", plan)

"""A vote ends when several samples in a row agree. Lossy."""

from __future__ import annotations

from chainlang.optimizer.end_votes_by import ended_by
from chainlang.optimizer.rewrite import Rewritten
from chainlang.plan.steps import Plan


def early_stopping_consistency(plan: Plan) -> Rewritten[Plan]:
    """End a vote after a window of five samples that all agree. Lossy.

    The rule is that of early-stopping self-consistency (Li et al., ICLR 2024): samples are drawn in
    windows, and the vote ends with the first that is unanimous, whatever came before it. Not exact:
    the rest might have decided otherwise, and the votes and the samples of a result are those that
    were drawn. So it runs where it is named and nowhere else, and a row whose vote it has ended
    says so. It needs a vote right behind a stage that samples, and that is no map and has no name.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> early_stopping_consistency(lower(chain("40:E >> M").body)).made.root.rule
    'early_stopping_consistency'
    """
    return ended_by("early_stopping_consistency", plan)

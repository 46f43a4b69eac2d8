"""A vote ends when its leader is likely to be right. Lossy."""

from __future__ import annotations

from chainlang.optimizer.end_votes_by import ended_by
from chainlang.optimizer.rewrite import Rewritten
from chainlang.plan.steps import Plan


def adaptive_consistency(plan: Plan) -> Rewritten[Plan]:
    """End a vote once its leader is the more likely of the first two answers, to 95 %. Lossy.

    The rule is that of adaptive consistency (Aggarwal et al., EMNLP 2023), with its Beta criterion:
    four samples that agree end a vote of any width. Samples are drawn in waves, each as large as
    could end it at least, so no more are drawn than one by one. Not exact: the rest might have
    overtaken the leader, and the votes and the samples of a result are those that were drawn. So it
    runs where it is named and nowhere else, and a row whose vote it has ended says so. It needs a
    vote right behind a stage that samples, and that is no map and has no name.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> adaptive_consistency(lower(chain("9:E >> M >> J").body)).made.root.steps[0].rule
    'adaptive_consistency'
    """
    return ended_by("adaptive_consistency", plan)

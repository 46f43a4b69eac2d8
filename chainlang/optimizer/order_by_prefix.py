"""Prompts that begin alike are asked together."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Rewritten
from chainlang.plan.steps import Generate, Plan
from chainlang.plan.visit import leaves


def order_by_prefix(plan: Plan) -> Rewritten[Plan]:
    """Ask the requests that are ready at the same time with those together that begin alike.

    Groups, and requests that share nothing, keep the order of the rows (`runtime/ordering.py`). An
    engine that keeps what it has read of a prompt finds the beginning of the next one there, even
    where its memory holds few prompts. No text is moved within a prompt. Always exact: a sample
    does not depend on what is drawn before it.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> order_by_prefix(lower(chain("E").body)).made.by_prefix
    True
    """
    if plan.by_prefix or not any(isinstance(one, Generate) for one in leaves(plan.root)):
        return Rewritten(plan)
    return Rewritten(evolve(plan, by_prefix=True))

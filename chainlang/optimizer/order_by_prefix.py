"""Order requests by prompt, so that common prefixes are computed once."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Rewritten
from chainlang.plan.steps import Generate, Plan
from chainlang.plan.visit import leaves


def order_by_prefix(plan: Plan) -> Rewritten[Plan]:
    """Order the requests that are ready together so that prompts with a common prefix are adjacent.

    Then the engine finds the prefix in its cache, even if that holds few prompts. Groups, and
    requests without a common prefix, keep the order of the rows (`runtime/prefix_order.py`).
    Prompts are not changed. Always exact: a sample does not depend on the order of requests.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> order_by_prefix(lower(chain("E").body)).made.by_prefix
    True
    """
    if plan.by_prefix or not any(isinstance(one, Generate) for one in leaves(plan.root)):
        return Rewritten(plan)
    return Rewritten(evolve(plan, by_prefix=True))

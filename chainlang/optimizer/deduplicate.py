"""Deduplicate equal temperature-0 requests and equal rows."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Refused, Rewritten, side_effects
from chainlang.plan.steps import Generate, Plan, Step
from chainlang.plan.visit import effects, rebuilt


def share_equal_work(plan: Plan) -> Rewritten[Plan]:
    """Deduplicate equal requests at temperature 0, and rows with equal content.

    Requests are equal if model, prompt, parameters and schema are equal. Exact: at temperature 0 a
    completion depends on nothing else, and the result of a row without an id depends on its content
    only. Requests are compared with those in flight and with the last few thousand completions.
    Rows are not deduplicated if the chain calls a Python function or a tool, which may have side
    effects.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> share_equal_work(lower(chain("E >> M").body)).made.rows_once
    True
    """
    called = next(effects(plan.root), None)
    refused = []
    if (why := side_effects(plan.root)) is not None and called is not None:
        refused.append(Refused("equal rows", why, *called[1:]))
    root, once = rebuilt(plan.root, _shared), plan.rows_once or called is None
    if root is plan.root and once == plan.rows_once:
        return Rewritten(plan, tuple(refused))
    shares = plan.shares or root is not plan.root
    return Rewritten(evolve(plan, root=root, shares=shares, rows_once=once), tuple(refused))


def _shared(step: Step) -> Step:
    if not isinstance(step, Generate) or step.shared or step.stage.sampling.temperature > 0:
        return step
    return evolve(step, shared=True)

"""What is equal is done once."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Refused, Rewritten
from chainlang.plan.steps import Generate, Plan, Step
from chainlang.plan.visit import calls, rebuilt


def share_equal_work(plan: Plan) -> Rewritten[Plan]:
    """Draw once what is asked twice at temperature 0, and take equal rows through the chain once.

    Requests are equal if model, prompt, parameters and schema are. Exact: at temperature 0 a reply
    is a function of these, and what a row becomes is one of its content, where it has no id of its
    own. It holds for what is in flight together and for the last few thousand replies. Equal rows
    are taken each for itself where a function of the user runs: what it does besides is not known.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> share_equal_work(lower(chain("E >> M").body)).made.rows_once
    True
    """
    called = tuple(calls(plan.root))
    refused = []
    if called:
        names = ", ".join(dict.fromkeys(f"@{one.function.name}" for one in called))
        why = f"{names} may do more than its result shows"
        refused.append(Refused("equal rows", why, called[0].place, called[0].span))
    root, once = rebuilt(plan.root, _shared), plan.rows_once or not called
    if root is plan.root and once == plan.rows_once:
        return Rewritten(plan, tuple(refused))
    return Rewritten(evolve(plan, root=root, rows_once=once), tuple(refused))


def _shared(step: Step) -> Step:
    if not isinstance(step, Generate) or step.shared or step.stage.sampling.temperature > 0:
        return step
    return evolve(step, shared=True)

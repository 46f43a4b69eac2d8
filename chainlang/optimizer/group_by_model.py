"""Work is grouped by model, where not all models fit into the memory."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Rewritten
from chainlang.plan.steps import Plan
from chainlang.plan.visit import models


def group_by_model(plan: Plan) -> Rewritten[Plan]:
    """Hold many windows of rows where models have to be changed, so that they share the loading.

    It bears on a chain of several models, and only where they do not fit together, which the sizes
    of the models and `memory` decide (`plan/residency.py`). Without it models are changed for each
    window. Always exact: a sample does not depend on what is drawn before it. A `timeout` counts
    the time that others take before its model is there.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> group_by_model(lower(chain("E:a >> J:b").body)).made.by_model
    True
    """
    if plan.by_model or len(models(plan.root)) < 2:
        return Rewritten(plan)
    return Rewritten(evolve(plan, by_model=True))

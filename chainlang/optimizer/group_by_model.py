"""Group work by model if not all models fit into memory."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Rewritten
from chainlang.plan.steps import Plan
from chainlang.plan.visit import models
from chainlang.protocol.programs import sandbox_of


def group_by_model(plan: Plan) -> Rewritten[Plan]:
    """Group the work of many rows by model, so that each model is loaded less often.

    Has an effect if the chain's models do not all fit into `memory` (`plan/model_schedule.py`).
    Without it, models are swapped for each window of rows. Always exact: a sample does not depend
    on the order of requests. A `timeout` includes the time until its model is loaded.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> group_by_model(lower(chain("E:a >> J:b").body)).made.by_model
    True
    """
    loaded = [name for name in models(plan.root) if sandbox_of(name) is None]
    if plan.by_model or len(loaded) < 2:
        return Rewritten(plan)
    return Rewritten(evolve(plan, by_model=True))

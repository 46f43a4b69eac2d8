"""Merge the requests for several samples of a prompt into one."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Refused, Rewritten, side_effects
from chainlang.plan.steps import Generate, Plan, Step
from chainlang.plan.visit import rebuilt


def merge_samples(plan: Plan) -> Rewritten[Plan]:
    """Merge the requests for the samples of a prompt into one.

    The prompt is sent, tokenized and looked up once. Always exact: on every engine a request for k
    samples is equivalent to k requests with consecutive seeds, which are the seeds of the samples.
    Calls of a tool that may have effects stay apart.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> merge_samples(lower(chain("3:E >> M").body)).made.root.steps[0].together
    True
    """
    refused: list[Refused] = []

    def change(step: Step) -> Step:
        if not isinstance(step, Generate) or step.stage.count == 1 or step.together:
            return step
        if (why := side_effects(step)) is not None:
            refused.append(Refused(step.stage.name, why, step.place, step.stage.span))
            return step
        return evolve(step, together=True)

    root = rebuilt(plan.root, change)
    return Rewritten(plan if root is plan.root else evolve(plan, root=root), tuple(refused))

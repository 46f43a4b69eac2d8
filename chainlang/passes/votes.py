"""Votes that end by another rule than the exact one."""

from __future__ import annotations

from attrs import evolve

from chainlang.ops.stopping import Rule, needed
from chainlang.passes.base import Refused, Rewritten
from chainlang.plan.steps import Count, Decide, Generate, Name, Plan, Sequence, Step
from chainlang.plan.walk import rebuilt


def ended_by(rule: Rule, plan: Plan) -> Rewritten[Plan]:
    """Return a plan whose votes end by a rule, wherever samples are drawn right before them."""
    refused: list[Refused] = []

    def refuse(count: Count, why: str) -> None:
        refused.append(Refused("vote", why, count.place, count.vote.span))

    def change(step: Step) -> Step:
        if isinstance(step, Sequence):
            return in_sequence(step)
        if not isinstance(step, Decide) or step.rule == rule:
            return step
        if step.rule == "exact":
            return evolve(step, rule=rule) if _saves(step.generate, rule) else step
        refuse(step.count, f"{step.rule} ends it")
        return step

    def in_sequence(step: Sequence) -> Step:
        steps: list[Step] = []
        for one in step.steps:
            before = steps[-1] if steps else None
            drawn = before.step if isinstance(before, Name) else before
            if isinstance(one, Count) and isinstance(drawn, Generate) and _saves(drawn, rule):
                if drawn.stage.kind == "map":
                    refuse(one, "each candidate before it has samples of its own")
                elif isinstance(before, Name):
                    refuse(one, f"the samples are to be seen, under the name {before.name}")
                else:
                    steps[-1] = Decide(drawn, one, rule)
                    continue
            steps.append(one)
        if len(steps) == len(step.steps):
            return step
        return steps[0] if len(steps) == 1 else Sequence(tuple(steps))

    root = rebuilt(plan.root, change)
    if root is plan.root:
        return Rewritten(plan, tuple(refused))
    return Rewritten(evolve(plan, root=root, lossy=(*plan.lossy, rule)), tuple(refused))


def _saves(drawn: Generate, rule: Rule) -> bool:
    """Return whether fewer samples than all may do."""
    stage = drawn.stage
    return stage.sampling.temperature > 0 and needed(rule, (), stage.count) < stage.count

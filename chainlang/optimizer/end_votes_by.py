"""End votes by a lossy rule; shared by the passes that do so."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Refused, Rewritten, fixed, side_effects
from chainlang.plan.steps import Count, Decide, Generate, Name, Plan, Step
from chainlang.plan.visit import paired, rebuilt
from chainlang.semantics.stopping_rules import Rule, needed


def ended_by(rule: Rule, plan: Plan) -> Rewritten[Plan]:
    """Return a plan in which a rule ends the votes that come directly after a sampling stage."""
    refused: list[Refused] = []

    def refuse(count: Count, why: str) -> None:
        refused.append(Refused("vote", why, count.place, count.vote.span))

    def change(step: Step) -> Step:
        if not isinstance(step, Decide) or step.rule == rule:
            return paired(step, ended)
        if step.rule == "exact":
            return evolve(step, rule=rule) if _saves(step.generate, rule) else step
        refuse(step.count, f"{step.rule} ends it")
        return step

    def ended(before: Step, one: Step) -> Step | None:
        drawn = before.step if isinstance(before, Name) else before
        if not isinstance(one, Count) or not isinstance(drawn, Generate) or not _saves(drawn, rule):
            return None
        if drawn.stage.kind == "map":
            refuse(one, "each candidate before it has samples of its own")
        elif (why := fixed(one) or side_effects(drawn)) is not None:
            refuse(one, why)
        elif isinstance(before, Name):
            refuse(one, f"the samples are readable under the name {before.name}")
        else:
            return Decide(drawn, one, rule)
        return None

    root = rebuilt(plan.root, change)
    if root is plan.root:
        return Rewritten(plan, tuple(refused))
    return Rewritten(evolve(plan, root=root, lossy=(*plan.lossy, rule)), tuple(refused))


def _saves(drawn: Generate, rule: Rule) -> bool:
    """Return whether fewer samples than all may end the vote."""
    stage = drawn.stage
    is_open = stage.sampling.temperature > 0 and stage.by_row is None
    return is_open and needed(rule, (), stage.count) < stage.count

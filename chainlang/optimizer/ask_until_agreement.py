"""Run the models of a vote one by one, until their answers agree. Lossy."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Refused, Rewritten, fixed, side_effects
from chainlang.plan.estimate_cost import counts
from chainlang.plan.liveness import names_made
from chainlang.plan.steps import AskUntilAgreement, Count, Gather, Generate, Plan, Step
from chainlang.plan.visit import last, models, paired, rebuilt


def ask_until_agreement(plan: Plan) -> Rewritten[Plan]:
    """Run the models of a vote one by one, until all answers so far agree. Lossy.

    Applies to a vote directly after a join of different models, such as
    ``(3:E:small & 3:E:large) >> M``, in written order. Agreement of a cheap model's samples is
    taken as a sign that they are right (Yue et al., ICLR 2024).

    Lossy: the other models might have outvoted it. The result has an event for the models that did
    not run. Refused if the first operand has a single answer, and if a later operand names a part.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> plan = lower(chain("(3:E:small & 3:E:large) >> M").body)
    >>> type(ask_until_agreement(plan).made.root).__name__
    'AskUntilAgreement'
    """
    refused: list[Refused] = []

    def merged(before: Step, one: Step) -> Step | None:
        if not isinstance(one, Count) or not isinstance(before, Gather):
            return None
        why = _why_not(before.steps)
        why = (fixed(one) or "") if why == "" else why
        if why == "":
            return AskUntilAgreement(before.steps, one)
        if why is not None:
            refused.append(Refused("vote", why, one.place, one.vote.span))
        return None

    root = rebuilt(plan.root, lambda step: paired(step, merged))
    if root is plan.root:
        return Rewritten(plan, tuple(refused))
    return Rewritten(
        evolve(plan, root=root, lossy=(*plan.lossy, "ask_until_agreement")), tuple(refused)
    )


def _is_greedy(step: Step) -> bool:
    """Return whether all samples of a stage are equal."""
    if not isinstance(step, Generate) or step.stage.kind == "map":
        return False
    return step.stage.sampling.temperature == 0


def _why_not(operands: tuple[Step, ...]) -> str | None:
    """Return why a vote asks all models; "" if it can, None if that would save nothing."""
    first, *others = operands
    asked = {name for one in others for name in models(one)}
    if not asked - set(models(first)):
        return None
    if counts(Plan(first)).candidates.most == 1 or all(map(_is_greedy, last(first))):
        return "its first operand has a single answer"
    if why := next(filter(None, map(side_effects, others)), None):
        return why
    if names := sorted(frozenset().union(*map(names_made, others))):
        return f"an operand that may not run names {', '.join(names)}"
    return ""

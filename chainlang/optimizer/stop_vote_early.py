"""A vote that is decided ends."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Refused, Rewritten
from chainlang.plan.steps import Count, Decide, Fork, Generate, Plan, Sequence, Step
from chainlang.semantics.combinators import ONCE


def stop_vote(plan: Plan) -> Rewritten[Plan]:
    """Draw the samples of a vote in waves, and stop when the others could not change its winner.

    Each wave has as many samples as could decide it: of n the first has half, the next what the
    leader still lacks. Exact: ties go to the first seen, and no wave changes the order. Only where
    the vote is the end of the chain, or of a branch, and `outputs` shows neither its candidates
    (which hold the count of votes) nor the trace; and not where a sample that fails is drawn again,
    which is reported. (The exact rule; adaptive consistency, Aggarwal et al., EMNLP 2023, stops
    earlier and may be wrong.)

    >>> from chainlang import chain
    >>> from chainlang.semantics.outputs import Outputs
    >>> from chainlang.plan.lower import lower
    >>> plan = lower(chain("9:E >> M").body, outputs=Outputs(frozenset({"answer"})))
    >>> type(stop_vote(plan).made.root).__name__
    'Decide'
    """
    refused: list[Refused] = []
    root = _ended(plan.root, plan, refused)
    return Rewritten(plan if root is plan.root else evolve(plan, root=root), tuple(refused))


def _ended(step: Step, plan: Plan, refused: list[Refused]) -> Step:
    """Return what stands at the end of the chain, with a vote there that stops."""
    if isinstance(step, Fork):
        arms = tuple((name, _ended(one, plan, refused)) for name, one in step.steps)
        same = all(new is old for (_, new), (_, old) in zip(arms, step.steps, strict=True))
        return step if same else Fork(arms)
    if not isinstance(step, Sequence):
        return step
    *before, last = step.steps
    if isinstance(last, Count) and before and isinstance(drawn := before[-1], Generate):
        why = _why_not(drawn, plan)
        if why == "":
            ended: Step = Decide(drawn, last)
            return ended if len(before) == 1 else Sequence((*before[:-1], ended))
        if why is not None:
            refused.append(Refused("vote", why, last.place, last.vote.span))
        return step
    new = _ended(last, plan, refused)
    return step if new is last else Sequence((*before, new))


def _why_not(drawn: Generate, plan: Plan) -> str | None:
    """Return why a vote can't stop; "" if it can, None if there is nothing to stop."""
    stage = drawn.stage
    if stage.count < 3 or stage.sampling.temperature == 0 or stage.kind == "map":
        return None
    if drawn.tries != ONCE:
        return "a sample that fails is drawn again, which is reported"
    if "trace" in plan.outputs:
        return "the samples are to be seen: outputs has the trace"
    if "candidates" in plan.outputs:
        return "the number of votes is to be seen: outputs has the candidates"
    return ""

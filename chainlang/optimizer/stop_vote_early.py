"""Stop a vote early once the remaining samples can't change its winner."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Refused, Rewritten, fixed, side_effects
from chainlang.plan.steps import Count, Decide, Fork, Generate, Plan, Sequence, Step
from chainlang.semantics.combinators import ONCE


def stop_vote(plan: Plan) -> Rewritten[Plan]:
    """Request the samples of a vote in waves, until the rest can't change the winner.

    Each wave is the smallest that could decide the vote: half of the samples first, then as many as
    the leader lacks. Exact: waves keep the order of the samples, and ties go to the first answer.
    Applies to a vote at the end of the chain, or of a branch, if `outputs` has neither the
    candidates (with their number of votes) nor the trace, and samples add no events: failed
    ones are neither retried nor left out, and cut ones are not kept. `adaptive_consistency` stops
    earlier, but may change the winner.

    >>> from chainlang import chain
    >>> from chainlang.semantics.outputs import Outputs
    >>> from chainlang.plan.lower import lower
    >>> from chainlang.plan.render import render
    >>> plan = lower(chain("9:E >> M").body, outputs=Outputs(frozenset({"answer"})))
    >>> print(render(stop_vote(plan).made))
    models: tiny
    outputs: answer
    until it is decided
      generate 9 × E  tiny  T=0.7  max_tokens=1024  at 0
      vote
    """
    refused: list[Refused] = []
    root = _ended(plan.root, plan, refused)
    return Rewritten(plan if root is plan.root else evolve(plan, root=root), tuple(refused))


def _ended(step: Step, plan: Plan, refused: list[Refused]) -> Step:
    """Return the step with the vote at its end, if any, stopped early."""
    if isinstance(step, Fork):
        arms = tuple((name, _ended(one, plan, refused)) for name, one in step.steps)
        same = all(new is old for (_, new), (_, old) in zip(arms, step.steps, strict=True))
        return step if same else Fork(arms)
    if not isinstance(step, Sequence):
        return step
    *before, last = step.steps
    if isinstance(last, Count) and before and isinstance(drawn := before[-1], Generate):
        why = _why_not(drawn, last, plan)
        if why == "":
            ended: Step = Decide(drawn, last)
            return ended if len(before) == 1 else Sequence((*before[:-1], ended))
        if why is not None:
            refused.append(Refused("vote", why, last.place, last.vote.span))
        return step
    new = _ended(last, plan, refused)
    return step if new is last else Sequence((*before, new))


def _why_not(drawn: Generate, vote: Count, plan: Plan) -> str | None:
    """Return why a vote can't be stopped early; "" if it can, None if that would save nothing."""
    stage = drawn.stage
    if stage.count < 3 or stage.sampling.temperature == 0 or stage.kind == "map":
        return None
    if (why := fixed(vote)) is not None:
        return why
    if stage.by_row is not None:
        return "settings of the stage depend on the row"
    if (why := side_effects(drawn)) is not None:
        return why
    if drawn.tries != ONCE:
        return "failed samples are retried, which adds events"
    if stage.need is not None:
        return "failed samples may be left out, which adds events"
    if stage.keeps_cut:
        return "replies that were cut are kept, which adds events"
    if "trace" in plan.outputs:
        return "outputs includes the trace, and so the samples"
    if "candidates" in plan.outputs:
        return "outputs includes the candidates, and so the votes"
    return ""

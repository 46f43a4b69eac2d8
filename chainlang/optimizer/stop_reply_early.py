"""Stop replies early once a single value of their type is left."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Refused, Rewritten
from chainlang.plan.liveness import own_reads, reads
from chainlang.plan.steps import Call, Generate, Plan, Step
from chainlang.plan.visit import asked, calls, rebuilt, steps_of
from chainlang.protocol.messages import later
from chainlang.semantics.expressions import names
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.part import Part
from chainlang.semantics.record import Candidate
from chainlang.semantics.stage_replies import has_choices
from chainlang.semantics.stages import Meaning


def stop_reply(plan: Plan) -> Rewritten[Plan]:
    """Stop a reply once its type allows a single value, so that a label often takes one token.

    Applies to types with few values: constants, booleans, small ranges of numbers, and objects of
    these. Engines with the capability `decides` append the rest of the reply; others generate it.
    Exact except for the tokens, log probabilities and blanks that are not generated. So it is
    refused if they are visible: if `outputs` has more than the answer, a function reads whole
    candidates, a retry reads the text of a bad reply, the stage reads its own text, or its options
    (`stop`, `min_tokens`) determine the end of a reply.

    >>> from chainlang import load
    >>> from chainlang.semantics.outputs import Outputs
    >>> from chainlang.plan.lower import lower
    >>> made = load(text='op ok : generate -> "yes" | "no" { user = "{{ query }}" } main = ok')
    >>> plan = lower(made.body, made.items, outputs=Outputs(frozenset({"answer"})))
    >>> stop_reply(plan).made.root.step.until_decided
    True
    """
    refused: list[Refused] = []
    seen = _seen(plan)

    def change(step: Step) -> Step:
        if not isinstance(step, Generate) or step.until_decided or not has_choices(step.stage):
            return step
        why = seen or _why_not(step.stage)
        if not why:
            return evolve(step, until_decided=True)
        refused.append(Refused(step.stage.name, why, step.place, step.stage.span))
        return step

    root = rebuilt(plan.root, change)
    return Rewritten(plan if root is plan.root else evolve(plan, root=root), tuple(refused))


def _seen(plan: Plan) -> str | None:
    """Return why more of candidates than their values is visible; None if it is not."""
    if plan.outputs.names is None:
        return "outputs includes everything, and so its tokens"
    if others := sorted(plan.outputs.names - {"answer"}):
        return f"outputs includes {', '.join(others)}, and so its tokens"
    for function in (one.function for one in calls(plan.root)):
        if _sees_candidates(function):
            return f"@{function.name} reads whole candidates, and so its tokens"
    if any("reply" in _names(one) for one in steps_of(plan.root)):
        return "a prompt or a function reads the text of a bad `reply`"
    return None


def _sees_candidates(function: UserFunction) -> bool:
    fed = function.fed is not None and function.fed.wants is Candidate
    return fed or any(one.wants is Part or one.name == "candidates" for one in function.names)


def _names(step: Step) -> frozenset[str]:
    """Return the names that a step itself reads."""
    if isinstance(step, Generate):
        return reads(step) or frozenset()
    if isinstance(step, Call):
        return frozenset(one.name for one in step.function.names)
    each = (_names(one) for one in asked(step) if isinstance(one, Call))
    return own_reads(step).union(*each)


def _why_not(stage: Meaning) -> str | None:
    if stage.sampling.stop or stage.sampling.min_tokens or later(stage.sampling):
        return "its options determine the end of a reply"
    if stage.answer is not None and "text" in names(stage.answer):
        return "its answer reads the text of the reply"
    return None

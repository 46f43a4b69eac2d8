"""Run stages in parallel with preceding steps that they do not read."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import CAUGHT, Refused, Rewritten
from chainlang.plan.liveness import CANDIDATES, names_made, reads
from chainlang.plan.steps import Fork, Generate, Name, Overlap, Plan, Sequence, Step
from chainlang.plan.visit import caught, rebuilt


def start_early(plan: Plan) -> Rewritten[Plan]:
    """Run a stage in parallel with preceding steps whose output it does not read.

    Applies to stages of kind `generate` whose templates use neither the candidates nor a part named
    by those steps. Exact: its prompt does not depend on them. If one of them fails, the row fails
    with that error, as it would have without the pass. Nothing starts early inside `fallback` and
    `retry`, which act on a failure, nor if the calls or tokens of a row are limited: what starts
    early uses up calls that a failed step gives back.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> early = start_early(lower(chain("(a = 3:E) >> E(fresh=true) >> J").body)).made
    >>> [type(step).__name__ for step in early.root.steps]
    ['Overlap', 'Generate']
    """
    refused: list[Refused] = []
    inside = caught(plan.root)

    def change(step: Step) -> Step:
        if not isinstance(step, Sequence):
            return step
        why = "the row has a budget" if plan.row_budget else CAUGHT if id(step) in inside else ""
        groups: list[list[Step]] = []
        for one in step.steps:
            if groups and _starts_with(groups[-1], one, why, refused):
                groups[-1].append(one)
            else:
                groups.append([one])
        if len(groups) == len(step.steps):
            return step
        steps = tuple(one[0] if len(one) == 1 else Overlap(tuple(one)) for one in groups)
        return steps[0] if len(steps) == 1 else Sequence(steps)

    root = rebuilt(plan.root, change)
    return Rewritten(plan if root is plan.root else evolve(plan, root=root), tuple(refused))


def _starts_with(before: list[Step], step: Step, why: str, refused: list[Refused]) -> bool:
    """Return whether a step may start with the preceding steps: it reads nothing of them."""
    found, drawn = reads(step), step.step if isinstance(step, Name) else step
    if not isinstance(drawn, Generate) or found is None or CANDIDATES in found:
        return False
    if any(isinstance(one, Fork) for one in before):
        return False
    if read := sorted(found & frozenset().union(*map(names_made, before))):
        why = f"it reads {', '.join(read)}"
    if why:
        refused.append(Refused(drawn.stage.name, why, drawn.place, drawn.stage.span))
    return not why

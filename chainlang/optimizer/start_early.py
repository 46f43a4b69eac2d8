"""A stage that does not read the one before it starts with it."""

from __future__ import annotations

from attrs import evolve

from chainlang.optimizer.rewrite import Refused, Rewritten
from chainlang.plan.liveness import CANDIDATES, names_made, reads
from chainlang.plan.steps import Fork, Generate, Name, Overlap, Plan, Sequence, Step
from chainlang.plan.visit import rebuilt


def start_early(plan: Plan) -> Rewritten[Plan]:
    """Run a stage at the same time as the steps before it, where it reads nothing of theirs.

    That is a stage of the kind `generate` whose templates name neither the candidates nor a part
    that those steps name. Exact: its prompt is the same before and after them. If one of them
    fails, the row fails by it, as it would have.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> early = start_early(lower(chain("(a = 3:E) >> E(fresh=true) >> J").body)).made
    >>> [type(step).__name__ for step in early.root.steps]
    ['Overlap', 'Generate']
    """
    refused: list[Refused] = []

    def change(step: Step) -> Step:
        if not isinstance(step, Sequence):
            return step
        groups: list[list[Step]] = []
        for one in step.steps:
            if groups and _starts_with(groups[-1], one, refused):
                groups[-1].append(one)
            else:
                groups.append([one])
        if len(groups) == len(step.steps):
            return step
        steps = tuple(one[0] if len(one) == 1 else Overlap(tuple(one)) for one in groups)
        return steps[0] if len(steps) == 1 else Sequence(steps)

    root = rebuilt(plan.root, change)
    return Rewritten(plan if root is plan.root else evolve(plan, root=root), tuple(refused))


def _starts_with(before: list[Step], step: Step, refused: list[Refused]) -> bool:
    """Return whether a step reads nothing of what stands before it."""
    found, drawn = reads(step), step.step if isinstance(step, Name) else step
    if not isinstance(drawn, Generate) or found is None or CANDIDATES in found:
        return False
    if any(isinstance(one, Fork) for one in before):
        return False
    if read := sorted(found & frozenset().union(*map(names_made, before))):
        why = f"it reads {', '.join(read)}"
        refused.append(Refused(drawn.stage.name, why, drawn.place, drawn.stage.span))
        return False
    return True

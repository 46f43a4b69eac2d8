"""Functions that follow each other are one step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from attrs import evolve

from chainlang.optimizer.rewrite import Refused, Rewritten
from chainlang.plan.steps import Call, Fused, Name, Plan, Sequence, Step
from chainlang.plan.visit import is_at_once, rebuilt


def fuse_functions(plan: Plan) -> Rewritten[Plan]:
    """Call functions and count votes that follow each other in one go, without the scheduler.

    Always exact: none of them waits, so nothing else could run between them, and each is called
    with what it would be called with, under its own name and at its own place. An async function
    may wait, and so may one that is called again after it failed; these stay as they are.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> made = chain("3:E >> @shout >> M", functions={"shout": str.upper})
    >>> plan = lower(made.body, (), made.bound)
    >>> [type(one).__name__ for one in fuse_functions(plan).made.root.steps]
    ['Generate', 'Fused']
    """
    refused: list[Refused] = []

    def change(step: Step) -> Step:
        if not isinstance(step, Sequence):
            return step
        steps: list[Step] = []
        for fuses, group in groupby(step.steps, is_at_once):
            found = tuple(group)
            steps += [Fused(found)] if fuses and len(found) > 1 else found
        refused.extend(_refusals(step))
        if len(steps) == len(step.steps):
            return step
        return steps[0] if len(steps) == 1 else Sequence(tuple(steps))

    root = rebuilt(plan.root, change)
    return Rewritten(plan if root is plan.root else evolve(plan, root=root), tuple(refused))


def _refusals(step: Sequence) -> Iterator[Refused]:
    """Yield the functions that stand beside others, or beside votes, and may wait."""
    for index, one in enumerate(map(_called, step.steps)):
        if not isinstance(one, Call) or is_at_once(one):
            continue
        beside = step.steps[max(0, index - 1) : index] + step.steps[index + 1 : index + 2]
        if any(is_at_once(other) or isinstance(_called(other), Call) for other in beside):
            waits = "it is async, and may wait"
            why = waits if one.function.is_async else "it may be called again, after a wait"
            yield Refused(f"@{one.function.name}", why, one.place, one.span)


def _called(step: Step) -> Step:
    return step.step if isinstance(step, Name) else step

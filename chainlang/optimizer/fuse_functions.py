"""Fuse consecutive functions and votes into one step."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from attrs import evolve

from chainlang.optimizer.rewrite import Refused, Rewritten
from chainlang.plan.steps import Call, Fused, Name, Plan, Sequence, Step
from chainlang.plan.visit import is_synchronous, rebuilt


def fuse_functions(plan: Plan) -> Rewritten[Plan]:
    """Fuse consecutive functions and votes into one step, which runs without the scheduler.

    Always exact: none of them waits, so nothing could run between them, and each keeps its
    arguments, its name and its place. Async functions and retried functions may wait; they are not
    fused.

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
        for fuses, group in groupby(step.steps, is_synchronous):
            found = tuple(group)
            steps += [Fused(found)] if fuses and len(found) > 1 else found
        refused.extend(_refusals(step))
        if len(steps) == len(step.steps):
            return step
        return steps[0] if len(steps) == 1 else Sequence(tuple(steps))

    root = rebuilt(plan.root, change)
    return Rewritten(plan if root is plan.root else evolve(plan, root=root), tuple(refused))


def _refusals(step: Sequence) -> Iterator[Refused]:
    """Yield a refusal for each function next to another, or to a vote, that may wait."""
    for index, one in enumerate(map(_called, step.steps)):
        if not isinstance(one, Call) or is_synchronous(one):
            continue
        beside = step.steps[max(0, index - 1) : index] + step.steps[index + 1 : index + 2]
        if any(is_synchronous(other) or isinstance(_called(other), Call) for other in beside):
            waits = "it is async, and may wait"
            why = waits if one.function.is_async else "it may be retried after a wait"
            yield Refused(f"@{one.function.name}", why, one.place, one.span)


def _called(step: Step) -> Step:
    return step.step if isinstance(step, Name) else step

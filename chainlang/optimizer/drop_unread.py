"""Remove stages whose output is never read."""

from __future__ import annotations

from typing import assert_never

from attrs import evolve

from chainlang.optimizer.rewrite import CAUGHT, Refused, Rewritten
from chainlang.plan.liveness import CANDIDATES, names_made, own_reads, reads
from chainlang.plan.steps import (
    AskUntilAgreement,
    Call,
    Cascade,
    Count,
    Decide,
    Each,
    Fallback,
    Fork,
    Fused,
    Gather,
    Generate,
    Graph,
    Loop,
    Name,
    Plan,
    Repeat,
    Retry,
    Route,
    Sequence,
    Step,
    Timeout,
    WithFields,
)
from chainlang.plan.visit import calls, caught, rebuilt, steps_of
from chainlang.semantics.combinators import ONCE


def drop_unread(plan: Plan) -> Rewritten[Plan]:
    """Remove stages and names that neither a later step nor `outputs` reads.

    It has no effect unless `outputs` leaves out the trace and these names. Exact if the unoptimized
    plan succeeds: a removed stage could only have failed its row. Steps that call a function or a
    tool, which may have side effects, or that may add an event are kept; so are all inside
    `fallback` and `retry`, which act on a failure.

    >>> from chainlang import chain
    >>> from chainlang.semantics.outputs import Outputs
    >>> from chainlang.plan.lower import lower
    >>> from chainlang.plan.render import render
    >>> plan = lower(chain("3:E >> E(fresh=true)").body, outputs=Outputs(frozenset({"answer"})))
    >>> print(render(drop_unread(plan).made))
    models: tiny
    outputs: answer
    generate 1 × E  tiny  T=0.7  max_tokens=1024  at 1
    """
    if "trace" in plan.outputs:
        return Rewritten(plan)
    refused: list[Refused] = []
    unseen, inside = _unseen(plan), caught(plan.root)

    def is_left(step: Step) -> bool:
        if not names_made(step) <= unseen:
            return False
        impure = [one for one in steps_of(step) if not _is_pure(one)]
        if impure:
            why = "it may have side effects or add events"
            refused.append(Refused(type(impure[0]).__name__.lower(), why))
        elif id(step) in inside:
            refused.append(Refused(type(step).__name__.lower(), CAUGHT))
            return False
        return not impure

    def change(step: Step) -> Step:
        if isinstance(step, Name) and step.name in unseen and not _forks(step.step):
            return step.step
        if not isinstance(step, Sequence):
            return step
        kept: list[Step] = []
        for one, after in zip(step.steps, (*step.steps[1:], None), strict=True):
            found = reads(after) if after is not None else None
            if found is None or CANDIDATES in found or not is_left(one):
                kept.append(one)
        return _sequence(step, kept)

    root = rebuilt(plan.root, change)
    if "answer" not in plan.outputs and isinstance(root, Sequence):
        steps = list(root.steps)
        while len(steps) > 1 and not isinstance(steps[-1], Fork) and is_left(steps[-1]):
            del steps[-1]
        root = _sequence(root, steps)
    return Rewritten(plan if root is plan.root else evolve(plan, root=root), tuple(refused))


def _forks(step: Step) -> bool:
    """Return whether a step has one result per branch, which a name would join."""
    last = step.steps[-1] if isinstance(step, Sequence) else step
    return isinstance(last, Fork) or (last is not step and _forks(last))


def _sequence(step: Sequence, kept: list[Step]) -> Step:
    if len(kept) == len(step.steps):
        return step
    return kept[0] if len(kept) == 1 else Sequence(tuple(kept))


def _is_pure(step: Step) -> bool:
    """Return whether a step alone does nothing but make candidates, and reports nothing."""
    match step:
        case Generate(stage=stage, tries=tries):
            certain = stage.need is None and not stage.keeps_cut
            return tries == ONCE and certain and not (stage.effects or stage.tools)
        case Count():
            return not any(calls(step))  # of a function that compares the answers
        case Decide() | Gather() | Name() | Graph() | Repeat() | Sequence() | WithFields():
            return True
        case Call() | Fused() | AskUntilAgreement() | Fork() | Fallback() | Retry() | Timeout():
            return False
        case Cascade() | Route() | Loop() | Each():
            return False
    assert_never(step)


def _unseen(plan: Plan) -> frozenset[str]:
    """Return the names of parts that neither a step nor `outputs` reads."""
    read: set[str] = set()
    for one in steps_of(plan.root):
        if isinstance(one, Generate | Count):
            read |= reads(one) or frozenset()
        elif isinstance(one, WithFields):
            read |= own_reads(one)
        elif not isinstance(one, Fork) and not _is_pure(one):
            return frozenset()  # a condition or a function may read any name
    return frozenset(
        name
        for name in names_made(plan.root)
        if name not in read and not plan.outputs.has_part(name)
    )

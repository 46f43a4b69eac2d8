"""Traversal and rebuilding of the steps of a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import evolve

from chainlang.plan.steps import (
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
    Loop,
    Name,
    Overlap,
    Repeat,
    Retry,
    Route,
    Sequence,
    Step,
    Timeout,
)
from chainlang.semantics.combinators import ONCE

Leaf = Generate | Count | Call


def inner(step: Step) -> tuple[Step, ...]:
    """Return the steps directly inside a step."""
    match step:
        case Sequence(steps) | Gather(steps) | Overlap(steps) | Fused(steps):
            return steps
        case Decide(generate, count):
            return (generate, count)
        case Cascade(steps, count):
            return (*steps, count)
        case Fork(branches):
            return tuple(one for _, one in branches)
        case Fallback(steps):
            return steps
        case Repeat(_, one) | Name(_, one):
            return (one,)
        case Retry(one) | Timeout(one) | Loop(one) | Each(one):
            return (one,)
        case Route(_, arms, default):
            return (*(one for _, one in arms), *([default] if default is not None else []))
    return ()


def leaves(step: Step) -> Iterator[Leaf]:
    """Yield the steps that produce candidates, in the order of the chain.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> [leaf.place for leaf in leaves(lower(chain("(E & fr = E) >> M").body).root)]
    [('0', '&0'), ('0', 'fr'), ('1',)]
    """
    if isinstance(step, Leaf):
        yield step
    for one in inner(step):
        yield from leaves(one)


def calls(step: Step) -> Iterator[Call]:
    """Yield the function calls in a step, also those in conditions.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> made = chain("E >> loop(@shout, until=@done)", functions={"shout": str, "done": bool})
    >>> [call.function.name for call in calls(lower(made.body, (), made.bound).root)]
    ['done', 'shout']
    """
    for one in steps_of(step):
        called = one.by if isinstance(one, Route) else one.until if isinstance(one, Loop) else one
        if isinstance(called, Call):
            yield called


def models(step: Step) -> tuple[str, ...]:
    """Return the models that a step uses, in the order of their first use."""
    found = (one.stage.model for one in leaves(step) if isinstance(one, Generate))
    return tuple(dict.fromkeys(found))


def last(step: Step) -> Iterator[Leaf]:
    """Yield the steps whose candidates are in the result.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> [leaf.place for leaf in last(lower(chain("3:E >> (J | V)").body).root)]
    [('1', '|0'), ('1', '|1')]
    """
    if isinstance(step, Leaf):
        yield step
    ends = isinstance(step, Sequence | Overlap | Decide | Cascade | Fused)
    for one in inner(step)[-1:] if ends else inner(step):
        yield from last(one)


def steps_of(step: Step) -> Iterator[Step]:
    """Yield a step and all steps inside it, parents first."""
    yield step
    for one in inner(step):
        yield from steps_of(one)


def is_at_once(step: Step) -> bool:
    """Return whether a step never waits: a vote, or a synchronous function without retries."""
    match step:
        case Count():
            return True
        case Call(function, tries=tries):
            return tries == ONCE and not function.is_async
        case Name(_, one):
            return is_at_once(one)
        case Fused(steps):
            return all(is_at_once(one) for one in steps)
    return False


def rebuilt(step: Step, change: Callable[[Step], Step]) -> Step:
    """Return a step with `change` applied to all steps inside it, then to itself.

    If nothing changed, it is the same object.
    """
    parts = inner(step)
    made = tuple(rebuilt(one, change) for one in parts)
    if any(new is not old for new, old in zip(made, parts, strict=True)):
        step = _with(step, made)
    return change(step)


def paired(step: Step, join: Callable[[Step, Step], Step | None]) -> Step:
    """Return a sequence with adjacent steps merged by `join`, which returns None to keep them.

    If nothing changed, it is the same object; a sequence of one step becomes that step.
    """
    if not isinstance(step, Sequence):
        return step
    steps = [step.steps[0]]
    for one in step.steps[1:]:
        joined = join(steps[-1], one)
        steps[-1:] = [steps[-1], one] if joined is None else [joined]
    if len(steps) == len(step.steps):
        return step
    return steps[0] if len(steps) == 1 else Sequence(tuple(steps))


def _with(step: Step, made: tuple[Step, ...]) -> Step:
    """Return a step with other steps inside it, as many as `inner` returns."""
    match step:
        case Sequence() | Gather() | Overlap() | Fused() | Fallback():
            return evolve(step, steps=made)
        case Decide():
            generate, count = made
            assert isinstance(generate, Generate)
            assert isinstance(count, Count)
            return evolve(step, generate=generate, count=count)
        case Cascade():
            *operands, count = made
            assert isinstance(count, Count)
            return Cascade(tuple(operands), count)
        case Fork(branches):
            names = (name for name, _ in branches)
            return Fork(tuple(zip(names, made, strict=True)))
        case Route(_, arms, default):
            named = tuple((key, one) for (key, _), one in zip(arms, made, strict=False))
            return evolve(step, arms=named, default=default and made[-1])
        case Repeat() | Name() | Retry() | Timeout() | Loop() | Each():
            return evolve(step, step=made[0])
    raise TypeError(f"{step!r} has nothing inside that could change")

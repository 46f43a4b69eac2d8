"""Functions over the steps of a plan."""

from __future__ import annotations

from collections.abc import Iterator

from chainlang.plan.steps import (
    Call,
    Count,
    Each,
    Fallback,
    Fork,
    Gather,
    Generate,
    Loop,
    Name,
    Repeat,
    Retry,
    Route,
    Sequence,
    Step,
    Timeout,
)

Leaf = Generate | Count | Call


def inner(step: Step) -> tuple[Step, ...]:
    """Return the steps directly inside one."""
    match step:
        case Sequence(steps) | Gather(steps):
            return steps
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
    """Yield the steps that make candidates, in the order of the chain.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> [leaf.place for leaf in leaves(lower(chain("(E & fr = E) >> M").body).root)]
    [('0', '&0'), ('0', 'fr'), ('1',)]
    """
    if isinstance(step, Leaf):
        yield step
    for one in inner(step):
        yield from leaves(one)


def last(step: Step) -> Iterator[Leaf]:
    """Yield the steps whose candidates are those of the result.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> [leaf.place for leaf in last(lower(chain("3:E >> (J | V)").body).root)]
    [('1', '|0'), ('1', '|1')]
    """
    if isinstance(step, Leaf):
        yield step
    for one in inner(step)[-1:] if isinstance(step, Sequence) else inner(step):
        yield from last(one)

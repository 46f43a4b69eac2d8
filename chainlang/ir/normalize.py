"""The normal form: chains that are written differently and mean the same have the same one.

A stage after a branch applies to each branch, so ``(a | b) >> c`` and ``(a >> c) | (b >> c)`` are
one chain. A `retry` of a join tries each operand again by itself, so it is a join of retries.
Places, and so seeds and results, are counted on the normal form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from attrs import evolve

from chainlang.ir.build import branch, flattened, join, moved, repeat, then
from chainlang.ir.declarations import Item, bodies_of
from chainlang.ir.nodes import (
    Branch,
    Combine,
    Each,
    Expr,
    Fallback,
    Function,
    Join,
    Loop,
    Named,
    Node,
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Then,
    Timeout,
)
from chainlang.ir.visit import transform


def normal_form(body: Expr, items: Iterable[Item] = ()) -> Expr:
    """Return the normal form of a body, with what its references stand for in their places."""
    return normal(inlined(body, bodies_of(items)))


def inlined(node: Expr, definitions: Mapping[str, Expr]) -> Expr:
    """Return an expression with each ``$name`` replaced by what it stands for.

    A definition names nothing by itself: whether a part is written in place or as a definition
    changes neither its meaning nor its samples. The definitions must have no cycle.

    >>> from chainlang.notation import parse
    >>> inlined(parse("$x >> M").node, {"x": parse("E >> V").node}) == parse("E >> V >> M").node
    True
    """

    def change(found: Node) -> Node:
        if isinstance(found, Ref) and found.name in definitions:
            return moved(inlined(definitions[found.name], definitions), found.span)
        return flattened(found)

    return transform(node, change)


def normal(node: Expr) -> Expr:
    """Return the normal form of an expression; the same object if it is in it already.

    In a normal form nothing stands after a branch in a sequence: what did is in each of its
    parts. What stands *before* a branch stays there, since it is drawn once and shared.

    >>> from chainlang.notation import parse
    >>> normal(parse("x >> (a | b) >> c").node) == parse("x >> ((a >> c) | (b >> c))").node
    True
    >>> normal(parse("retry(3 * a & b)").node) == parse("3 * retry(a) & retry(b)").node
    True
    """
    return transform(node, _distribute)


def _distribute(node: Node) -> Node:
    if isinstance(node, Retry):
        return _retried(node)
    if not isinstance(node, Then):
        return flattened(node)  # an arm of a branch may have become a branch of its own
    for index, part in enumerate(node.parts[:-1]):
        if isinstance(part, Branch):
            rest = node.parts[index + 1 :]
            # The rest may hold branches of its own; they are below each arm now, and in normal form
            # only after the same step has been taken there.
            arms = (_distribute(then(arm, *rest)) for arm in part.parts)
            spread = branch(*(arm for arm in arms if isinstance(arm, Expr)), span=part.span)
            return then(*node.parts[:index], spread, span=node.span)
    return node


def _retried(node: Retry) -> Expr:
    """Return a `retry` in normal form: around what is drawn as one, inside labels and joins."""
    part = node.body
    match part:
        case Join(parts):
            tried = (_retried(evolve(node, body=one)) for one in parts)
            return join(*tried, span=part.span)
        case Repeat(count, body):
            return repeat(count, _retried(evolve(node, body=body)), part.span)
        case Named(_, body):
            return evolve(part, body=_retried(evolve(node, body=body)))
        case Stage() | Then() | Branch() | Ref() | Function() | Combine():
            return node
        case Fallback() | Retry() | Timeout() | Route() | Loop() | Each():
            return node
    assert_never(part)


def part_name(part: Expr) -> str | None:
    """Return the label by which a branch's result is known: its own, or that of its first part.

    So a name survives distribution: in ``(fr = a | es = b) >> c`` and in its normal form the
    results are called ``fr`` and ``es``.
    """
    while isinstance(part, Then):
        part = part.parts[0]
    return part.name if isinstance(part, Named) else None

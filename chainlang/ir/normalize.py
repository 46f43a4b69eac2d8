"""Normal form of chains: equivalent chains have equal normal forms.

A stage after a branch applies to each branch, so ``(a | b) >> c`` and ``(a >> c) | (b >> c)`` are
equivalent. A `retry` of a join retries each operand by itself, so it is equivalent to a join of
retries. Places, and with them seeds and results, are determined on the normal form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from attrs import evolve

from chainlang.ir.build import branch, flattened, join, moved, repeat, then
from chainlang.ir.declarations import Item, bodies_of
from chainlang.ir.nodes import (
    Branch,
    Cascade,
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
    WithFields,
)
from chainlang.ir.visit import transform


def normal_form(body: Expr, items: Iterable[Item] = ()) -> Expr:
    """Return the normal form of a body, with its references replaced by their definitions."""
    return normal(inlined(body, bodies_of(items)))


def inlined(node: Expr, definitions: Mapping[str, Expr]) -> Expr:
    """Return an expression with each ``$name`` replaced by its definition.

    A part has the same meaning and samples whether it is written in place or as a definition. The
    definitions must not have a cycle.

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
    """Return the normal form of an expression; the same object if it is normal already.

    In the normal form a branch is the last part of its sequence: the parts after it are moved into
    each of its arms. The parts *before* a branch stay there, since its arms share their samples.

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
            # The rest may have branches of its own, so each arm has to be normalized again.
            arms = (_distribute(then(arm, *rest)) for arm in part.parts)
            spread = branch(*(arm for arm in arms if isinstance(arm, Expr)), span=part.span)
            return then(*node.parts[:index], spread, span=node.span)
    return node


def _retried(node: Retry) -> Expr:
    """Return the normal form of a `retry`: moved inside labels and joins."""
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
        case Fallback() | Cascade() | Retry() | Timeout() | Route() | Loop() | Each():
            return node
        case WithFields():
            return node
    assert_never(part)


def part_name(part: Expr) -> str | None:
    """Return the name of a branch's result: the label of the arm, or of its first part.

    So normalizing keeps names: in ``(fr = a | es = b) >> c`` and in its normal form the results are
    called ``fr`` and ``es``.
    """
    while isinstance(part, Then):
        part = part.parts[0]
    return part.name if isinstance(part, Named) else None


def operands(parts: tuple[Expr, ...]) -> list[Expr]:
    """Return the operands of a join, with ``3 * a`` expanded to ``a & a & a``."""
    found: list[Expr] = []
    for part in parts:
        if isinstance(part, Repeat):
            found += [part.body] * part.count
        else:
            found.append(part)
    return found

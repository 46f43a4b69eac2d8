"""Constructors of canonical nodes: flat operators, sorted options, multiplied counts.

These functions make ``>>``, ``&`` and ``|`` associative: groupings with the same meaning are equal
nodes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from attrs import evolve

from chainlang.diagnostics.source import Span, cover
from chainlang.ir.nodes import Branch, Expr, Join, Node, Option, Repeat, Then

_Flat = TypeVar("_Flat", Then, Join, Branch)


def then(*parts: Expr, span: Span | None = None) -> Expr:
    """Return the sequence of parts; a single part is returned as it is.

    >>> from chainlang.ir.nodes import Stage
    >>> a, b, c = Stage("A"), Stage("B"), Stage("C")
    >>> then(a, then(b, c)) == then(then(a, b), c) == Then((a, b, c))
    True
    """
    return _flat(Then, parts, span)


def join(*parts: Expr, span: Span | None = None) -> Expr:
    """Return the join of parts, ``a & b``; a single part is returned as it is."""
    return _flat(Join, parts, span)


def branch(*parts: Expr, span: Span | None = None) -> Expr:
    """Return the branch of parts, ``a | b``; a single part is returned as it is."""
    return _flat(Branch, parts, span)


def repeat(count: int, body: Expr, span: Span | None = None) -> Expr:
    """Return the join of `count` independent runs of a part. Nested counts multiply.

    >>> from chainlang.ir.nodes import Stage
    >>> repeat(3, repeat(2, Stage("E"))) == repeat(6, Stage("E"))
    True
    """
    if isinstance(body, Repeat):
        return Repeat(count * body.count, body.body, span=span)
    return body if count == 1 else Repeat(count, body, span=span)


def options(given: Iterable[Option]) -> tuple[Option, ...]:
    """Return options sorted by name, since the order of keywords has no meaning."""
    return tuple(sorted(given, key=lambda option: option.name))


def _flat(kind: type[_Flat], parts: tuple[Expr, ...], span: Span | None) -> Expr:
    if len(parts) == 1:
        return parts[0]
    flat: list[Expr] = []
    for part in parts:
        if isinstance(part, kind):
            flat.extend(part.parts)
        else:
            flat.append(part)
    return kind(tuple(flat), span=span or cover(parts[0].span, parts[-1].span))


def flattened(node: Node) -> Node:
    """Flatten an operator again after its operands were replaced; return other nodes as they are.

    >>> from chainlang.ir.nodes import Stage
    >>> a, b, c = Stage("A"), Stage("B"), Stage("C")
    >>> flattened(Then((a, Then((b, c))))) == Then((a, b, c))
    True
    """
    match node:
        case Then(parts) if any(isinstance(part, Then) for part in parts):
            return then(*parts, span=node.span)
        case Join(parts) if any(isinstance(part, Join) for part in parts):
            return join(*parts, span=node.span)
        case Branch(parts) if any(isinstance(part, Branch) for part in parts):
            return branch(*parts, span=node.span)
        case Repeat(count, Repeat() as body):
            return repeat(count, body, node.span)
    return node


def moved(node: Expr, span: Span | None) -> Expr:
    """Return a node with another span, such as that of the parentheses around it."""
    return node if span is None else evolve(node, span=span)

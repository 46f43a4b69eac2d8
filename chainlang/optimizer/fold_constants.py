"""Replace combinators whose choice is constant by the chosen part."""

from __future__ import annotations

from typing import TypeGuard, assert_never

from chainlang.ir.builtins import STAGE_TYPES
from chainlang.ir.calls import name_of
from chainlang.ir.nodes import (
    Arm,
    Cascade,
    Combinator,
    Each,
    Expr,
    Fallback,
    Function,
    Loop,
    Named,
    Node,
    Retry,
    Route,
    Stage,
    Timeout,
    WithFields,
)
from chainlang.ir.visit import rebuild
from chainlang.optimizer.rewrite import Refused, Rewritten
from chainlang.semantics.combinators import ROUND, arm, is_accepted, is_over
from chainlang.semantics.expressions import evaluate, names
from chainlang.semantics.prompts import RenderError
from chainlang.semantics.stage_error import StageError


def fold_constants(node: Expr) -> Rewritten[Expr]:
    """Replace a combinator whose choice is constant by the chosen part.

    That is the arm of a `route` whose `by` reads no field, the body of a `loop` whose `until` is
    always true, the first part of a `cascade` whose `accept` is, and the body of
    ``retry(..., times=1)``. Applies only if the part is a single stage
    or function, outside other combinators, so that its place, and with it its samples, stay the
    same. A choice whose expression fails is kept.
    """
    refused: list[Refused] = []

    def visit(node: Node, has_place: bool) -> Node:
        # A label and the arm of a route add nothing to the place of what is around them.
        passes = isinstance(node, Named | Arm) and not has_place
        alone = not isinstance(node, Combinator) and not passes
        made = rebuild(node, lambda child: visit(child, alone))
        return _folded(made, refused) if has_place else made

    made = visit(node, has_place=True)
    assert isinstance(made, Expr)
    return Rewritten(made, tuple(refused))


def _folded(node: Node, refused: list[Refused]) -> Node:
    if not isinstance(node, Combinator):
        return node
    part = _only(node)
    if part is None:
        return node
    if not isinstance(part, Stage | Function):
        why = "its part has several stages, whose places would change"
        refused.append(Refused(name_of(node), why, span=node.span))
        return node
    return part


def _only(node: Combinator) -> Expr | None:
    """Return the part of a combinator that will run; None if that is not known."""
    try:
        match node:
            case Route(arms, by, default):
                if not _is_constant(by):
                    return None
                parts = {one.key: one.body for one in arms}
                key = arm(evaluate(by, {}), parts, default is not None)
                return default if key is None else parts[key]
            case Loop(body, until=until):
                is_once = _is_constant(until) and is_over(evaluate(until, {}))
                return body if is_once and not _may_read_round(body) else None
            case Retry(body, times=times):
                return body if times == 1 else None
            case Cascade(parts, accept=by):
                return parts[0] if _is_constant(by) and is_accepted(evaluate(by, {})) else None
            case Fallback() | Timeout() | Each() | WithFields():
                return None
    except (StageError, RenderError):
        return None
    assert_never(node)


def _may_read_round(body: Expr) -> bool:
    """Return whether a part of a loop may read the number of the round, which only a loop has."""
    if not isinstance(body, Stage):
        return isinstance(body, Function)
    if body.name not in STAGE_TYPES:
        return True
    return any(isinstance(one.value, str) and ROUND in one.value for one in body.options)


def _is_constant(expression: str | Function) -> TypeGuard[str]:
    return isinstance(expression, str) and not names(expression)

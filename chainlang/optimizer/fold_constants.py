"""What can only go one way is no choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainlang.ir.nodes import Combine, Expr, Function, Node, Stage
from chainlang.ir.visit import rebuild, transform
from chainlang.optimizer.rewrite import Refused, Rewritten
from chainlang.semantics.combinators import arm, is_over, options
from chainlang.semantics.expressions import evaluate, names
from chainlang.semantics.prompts import RenderError
from chainlang.semantics.stage_error import StageError


def fold_constants(node: Expr) -> Rewritten[Expr]:
    """Put the part that will run in the place of a combinator that has no choice.

    Of a `route` whose `by` reads nothing it is the arm, of a `loop` whose `until` is true whatever
    happens its body, and of a `retry` of one time what is tried once. Only where that part is one
    stage or one function, and no combinator is around it: then it stays at its place, and draws
    what it drew. A choice that fails is left to fail.

    >>> from chainlang import chain
    >>> from chainlang.notation import unparse
    >>> unparse(fold_constants(chain('2:E >> loop(J, until="true") >> M').body).made)
    '2:E >> J >> M'
    """
    refused: list[Refused] = []

    def inside(parent: Node) -> Node:
        if isinstance(parent, Combine):
            return parent
        return rebuild(parent, lambda child: _folded(child, refused))

    inner = transform(node, inside)
    made = _folded(inner, refused)
    assert isinstance(made, Expr)
    return Rewritten(made, tuple(refused))


def _folded(node: Node, refused: list[Refused]) -> Node:
    if not isinstance(node, Combine):
        return node
    part = _only(node)
    if part is None:
        return node
    if not isinstance(part, Stage | Function):
        why = "what is left of it is more than one stage, whose samples would move"
        refused.append(Refused(node.name, why, span=node.span))
        return node
    return part


def _only(node: Combine) -> Expr | None:
    """Return the part of a combinator that will run, if it is known; None else."""
    given = options(node)
    try:
        match node.name:
            case "route":
                by, default = given["by"], given.get("default")
                entries = {one.name: one.value for one in given["arms"].entries}
                if not _is_constant(by):
                    return None
                key = arm(evaluate(by, {}), entries, default is not None)
                return _part(entries, key, default)
            case "loop":
                until = given["until"]
                return (
                    node.parts[0] if _is_constant(until) and is_over(evaluate(until, {})) else None
                )
            case "retry":
                return node.parts[0] if given.get("times") == 1 else None
    except (StageError, RenderError):
        return None
    return None


def _part(entries: Mapping[str, Any], key: str | None, default: Any) -> Expr | None:
    found = default if key is None else entries[key]
    return found if isinstance(found, Expr) else None


def _is_constant(expression: object) -> bool:
    return isinstance(expression, str) and not names(expression)

"""Expressions that run without jinja: names, fields, constants, comparisons, and conditions.

Most answers and conditions are such; jinja takes several times as long for them, since it makes a
context of all values. What fails here runs there, since jinja knows what its error says.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from chainlang.semantics.template_values import View

if TYPE_CHECKING:
    from jinja2 import nodes

Direct: TypeAlias = "Callable[[Mapping[str, Any]], Any]"
"""Returns the value of an expression; raises any exception if it has none."""

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gteq": operator.ge,
    "lt": operator.lt,
    "lteq": operator.le,
    "in": lambda item, items: item in items,
    "notin": lambda item, items: item not in items,
}


def direct(tree: nodes.Node) -> Direct | None:
    """Return the function of an expression; None for one with anything else.

    >>> from jinja2 import Environment
    >>> tree = Environment().parse("{{ one.answer if score > 3 else none }}").body[0].nodes[0]
    >>> direct(tree)({"one": {"answer": "42"}, "score": 4})
    '42'
    """
    try:
        return _function(tree)
    except NotImplementedError:
        return None


def _function(tree: nodes.Node) -> Direct:  # a match
    from jinja2 import nodes

    match tree:
        case nodes.Const(value=value):
            return lambda _: value
        case nodes.Name(name=name):
            return lambda values: values[name]
        case nodes.Getattr(node=node, attr=name):
            of = _function(node)
            return lambda values: _field(of(values), name)
        case nodes.Compare(expr=left, ops=[nodes.Operand(op=op, expr=right)]):
            one, other, compare = _function(left), _function(right), _COMPARISONS[op]
            return lambda values: compare(one(values), other(values))
        case nodes.And(left=left, right=right):
            one, other = _function(left), _function(right)
            return lambda values: one(values) and other(values)
        case nodes.Or(left=left, right=right):
            one, other = _function(left), _function(right)
            return lambda values: one(values) or other(values)
        case nodes.Not(node=node):
            of = _function(node)
            return lambda values: not of(values)
        case nodes.Test(node=node, name="none"):
            of = _function(node)
            return lambda values: of(values) is None
        case nodes.CondExpr(test=node, expr1=left, expr2=right) if right is not None:
            test, one, other = _function(node), _function(left), _function(right)
            return lambda values: one(values) if test(values) else other(values)
    raise NotImplementedError


def _field(value: Any, name: str) -> Any:
    """Return a field of a value; `KeyError` for a value without fields, or without this one."""
    if isinstance(value, View | dict):
        return value[name]
    raise KeyError(name)

"""Conversion between combinators and their general form, which text and JSON use."""

from __future__ import annotations

from typing import Any

from attrs import evolve

from chainlang.ir.build import options as ordered
from chainlang.ir.builtins import COMBINATORS, Signature
from chainlang.ir.nodes import Arm, Combinator, Combine, Expr, Node, Option, Table
from chainlang.ir.verify import is_name
from chainlang.ir.visit import field_names

_NAMES: dict[type[Node], str] = {one.node: one.name for one in COMBINATORS.values()}


def name_of(node: Combinator | Combine) -> str:
    """Return the name of a call.

    >>> from chainlang import chain
    >>> name_of(chain("retry(E)").body)
    'retry'
    """
    return node.name if isinstance(node, Combine) else _NAMES[type(node)]


def specific(call: Combine) -> Combinator | Combine:
    """Return the combinator of a call; the call itself if its arguments don't fit.

    The span of the combinator has a part for each option.

    >>> from chainlang.ir.nodes import Stage
    >>> specific(Combine("retry", (Stage("E"),), (Option("times", 3),))).times
    3
    >>> specific(Combine("retry", (Stage("E"),), (Option("times", 0),))).name
    'retry'
    """
    signature = COMBINATORS.get(call.name)
    if signature is None or not _fits(call, signature):
        return call
    given: dict[str, Any] = {option.name: option.value for option in call.options}
    if signature.parts == (1, 1):
        (given["body"],) = call.parts
    elif call.parts:
        given["parts"] = call.parts
    if signature.others is not None:
        own = signature.options
        given = {name: value for name, value in given.items() if name in own or name == "body"}
        given["fields"] = ordered(one for one in call.options if one.name not in own)
    for name, value in given.items():
        if isinstance(value, Table):
            given[name] = tuple(Arm(e.name, e.value, span=e.span) for e in value.entries)  # type: ignore[arg-type]  # its rule reads chains alone
    places = tuple((one.name, one.span) for one in call.options if one.span is not None)
    span = call.span and evolve(call.span, parts=(*call.span.parts, *places))
    node: Combinator = signature.node(**given, span=span)
    return node


def general(node: Combinator | Combine) -> Combine:
    """Return the call of a combinator: ``specific(general(node)) == node``.

    >>> from chainlang import chain
    >>> general(chain("retry(E, times=2)").body).options
    (Option(name='times', value=2),)
    """
    if isinstance(node, Combine):
        return node
    written = dict(node.span.parts) if node.span else {}
    parts: tuple[Expr, ...] = ()
    options = []
    for name in field_names(type(node)):
        value = getattr(node, name)
        if name == "parts":
            parts = value
        elif name == "body":
            parts = (value,)
        elif name == "fields":
            options += value
        elif value is not None:
            if name == "arms":
                value = Table(tuple(Option(arm.key, arm.body, span=arm.span) for arm in value))
            options.append(Option(name, value, span=written.get(name)))
    span = node.span and evolve(
        node.span,
        parts=tuple(one for one in node.span.parts if one[0] not in field_names(type(node))),
    )
    return Combine(name_of(node), parts, ordered(options), span=span)


def _fits(call: Combine, signature: Signature) -> bool:
    least, most = signature.parts
    if len(call.parts) < least or (most is not None and len(call.parts) > most):
        return False
    names = {option.name for option in call.options}
    if len(names) < len(call.options):
        return False
    others = names - signature.options.keys()
    if signature.others is None:
        if others:
            return False
    elif not others or not all(map(is_name, others)):
        return False
    if any(rule.required and name not in names for name, rule in signature.options.items()):
        return False
    rules = {**dict.fromkeys(others, signature.others), **signature.options}
    return all(rule.accepts(one.value) for one in call.options if (rule := rules[one.name]))

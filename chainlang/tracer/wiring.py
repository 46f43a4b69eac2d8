"""Wiring of called chains: their first stages read the results they were called on, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

from attrs import evolve

from chainlang.api.chain import Chain
from chainlang.ir import build
from chainlang.ir.builtins import EXPRESSIONS, STAGE_TYPES, canonical
from chainlang.ir.declarations import Op, bodies_of
from chainlang.ir.nodes import (
    Arm,
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
    Option,
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Then,
    Timeout,
    WithFields,
)
from chainlang.ir.template_texts import templates_in
from chainlang.ir.tools import kind_of
from chainlang.ir.visit import measure
from chainlang.semantics.expressions import names
from chainlang.semantics.prelude import prelude
from chainlang.semantics.prompts import variables
from chainlang.tracer.refusal import refusal
from chainlang.tracer.steps import Step

Change = Callable[[Expr], Expr]


def fed(chain: Chain, labels: Sequence[str], step: Step) -> Chain:
    """Return a chain whose first stages read the candidates of named parts."""
    of = labels[0] if len(labels) == 1 else tuple(labels)

    def read(node: Expr) -> Expr:
        match node:
            case Function():
                return evolve(node, of=of)
            case Stage():
                others = (one for one in node.options if one.name not in ("of", "fresh"))
                return evolve(node, options=build.options([*others, Option("of", of)]))
        raise refusal(
            f"{step.called} can't be called on results that do not stand just before it:"
            " it begins with loop() or each()",
            "call a stage on them first",
            step.place,
        )

    return _at_the_beginning(chain, read)


def starts_fresh(chain: Chain) -> Chain:
    """Return a chain that ignores candidates before it, which it was not called on."""
    ops = {one.name: one for one in chain.items if isinstance(one, Op)}

    def ignore(node: Expr) -> Expr:
        if isinstance(node, Stage) and _kind(node, ops) == "generate" and _reads(node, ops):
            return evolve(node, options=build.options([*node.options, Option("fresh", True)]))
        return node

    return _at_the_beginning(chain, ignore)


def begins_with_results(chain: Chain) -> bool:
    """Return whether a chain begins with a stage that can't be without candidates."""
    ops = {one.name: one for one in chain.items if isinstance(one, Op)}
    found: list[Expr] = []

    def look(node: Expr) -> Expr:
        if isinstance(node, Function):
            function = chain.bound.function(node.name)
            if function is not None and function.kind != "generate" and node.of is None:
                found.append(node)
        elif isinstance(node, Stage) and _kind(node, ops) not in ("generate", None):
            found.append(node)
        return node

    _at_the_beginning(chain, look)
    return bool(found)


def _kind(node: Expr, ops: dict[str, Op]) -> str | None:
    if not isinstance(node, Stage):
        return None
    if node.name in ops:
        return kind_of(ops[node.name])
    return STAGE_TYPES[canonical(node.name)].kind if canonical(node.name) in STAGE_TYPES else None


def _reads(node: Stage, ops: dict[str, Op]) -> bool:
    """Return whether a stage that generates reads the candidates before it."""
    if any(one.name in ("of", "fresh") for one in node.options):
        return False
    op = ops.get(node.name) or prelude()[canonical(node.name)]
    read = {name for one in templates_in(op.settings) for name in variables(str(one.value))}
    for one in op.settings:
        if one.name in EXPRESSIONS and isinstance(one.value, str):
            read |= names(one.value)
    return "candidates" in read


def _at_the_beginning(chain: Chain, change: Change) -> Chain:
    body = _changed(chain.body, change, chain)
    return evolve(chain, body=body, extent=measure(body))


def _changed(node: Expr, change: Change, chain: Chain) -> Expr:  # a match
    def inner(one: Expr) -> Expr:
        return _changed(one, change, chain)

    match node:
        case Stage() | Function() | Loop() | Each():
            return change(node)
        case Then(parts):
            return build.then(inner(parts[0]), *parts[1:])
        case Join(parts) | Branch(parts) | Fallback(parts) | Cascade(parts):
            return evolve(node, parts=tuple(map(inner, parts)))
        case Repeat(_, body) | Named(_, body) | Retry(body) | Timeout(body) | WithFields(body):
            return evolve(node, body=inner(body))
        case Route(arms, _, default):
            found = tuple(Arm(one.key, inner(one.body)) for one in arms)
            return evolve(node, arms=found, default=default and inner(default))
        case Combine():
            return node
        case Ref(name):
            changed = inner(bodies_of(chain.items)[name])
            return node if changed == bodies_of(chain.items)[name] else changed
    assert_never(node)

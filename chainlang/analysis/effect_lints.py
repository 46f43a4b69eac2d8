"""Warnings about options and combinators that change nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction

from attrs import field, frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.ir.builtins import StageType
from chainlang.ir.nodes import Expr, Function, Loop, Ref, Retry, Stage, Timeout
from chainlang.ir.row_settings import temperature_of
from chainlang.ir.visit import parts_of, walk

_OF_CHANCE = {"min_p": 0.0, "top_k": None, "top_p": 1.0}
"""Options that choose among tokens, where temperature 0 leaves no choice; what turns each off."""


def effect_lints(
    node: Expr,
    types: Mapping[str, StageType],
    bodies: Mapping[str, Expr],
) -> Iterator[Diagnostic]:
    """Yield a warning for each option and combinator that changes nothing.

    `bodies`: definitions that references stand for; they have no cycle.

    >>> from chainlang.notation import parse
    >>> [one.message for one in effect_lints(parse("loop(E, until='a', max=1)").node, {}, {})]
    ['max=1 runs the part once, whatever until= says']
    """
    effects = _Effects(types, bodies)
    for one in walk(node):
        match one:
            case Stage():
                yield from effects.stage(one)
            case Retry(times=1):
                message = "times=1 is the first attempt alone"
                hint = "raise times=, or write the part without retry()"
                yield no_effect(message, part_span(one.span, "times"), hint, "times")
            case Timeout():
                yield from effects.timeout(one)
            case Loop(max=1):
                message = "max=1 runs the part once, whatever until= says"
                hint = "raise max=, or write the part without loop()"
                yield no_effect(message, part_span(one.span, "max"), hint, "max")
            case _:
                pass


def no_effect(message: str, span: Span | None, hint: str, option: str | None = None) -> Diagnostic:
    """Return the warning about an option, or a combinator, that changes nothing."""
    return Diagnostic("no-effect", message, span, hint, kind="option", subject=option)


@frozen
class _Effects:
    types: Mapping[str, StageType]
    bodies: Mapping[str, Expr]
    known: dict[str, bool] = field(factory=dict)
    """Whether each definition takes time."""

    def stage(self, node: Stage) -> Iterator[Diagnostic]:
        kind = self.types.get(node.name)
        if kind is None or not kind.calls_model:
            return
        given = {one.name: one for one in node.options}
        if "need" in given:
            need = given["need"].value
            is_share = isinstance(need, float)
            if node.count == (math.ceil(Fraction(repr(need)) * node.count) if is_share else need):
                which = "the only sample" if node.count == 1 else f"all {node.count} samples"
                message = f"need={need} asks for {which}, which is the default"
                hint = "lower need=, raise the count, or leave need= out"
                yield no_effect(message, given["need"].span, hint, "need")
        temperature = temperature_of(node, kind.temperature)
        for name, off in _OF_CHANCE.items():
            if name in given and given[name].value != off and temperature == 0:
                message = f"{name}= has no effect at temperature 0, which takes the likeliest token"
                hint = f"give the stage a temperature, as in {node.name}:{node.model or ''}:0.7"
                yield no_effect(message, given[name].span, hint, name)

    def timeout(self, node: Timeout) -> Iterator[Diagnostic]:
        where = part_span(node.span, "seconds")
        if not self.waits(node.body):
            message = "this part asks no model and calls no function, so it takes no time"
            yield no_effect(message, where or node.span, "write it without timeout()", "seconds")
        inner = node.body
        if isinstance(inner, Timeout):
            is_outer = inner.seconds <= node.seconds
            other = "inside" if is_outer else "around"
            seconds = min(inner.seconds, node.seconds)
            message = f"the timeout {other} it ends first, after {seconds:g} seconds"
            span = where if is_outer else part_span(inner.span, "seconds")
            yield no_effect(message, span, "write the shorter one alone", "seconds")

    def waits(self, node: Expr) -> bool:
        """Return whether a part takes time: it asks a model or calls a function."""
        match node:
            case Stage(name):
                kind = self.types.get(name)
                return kind is None or kind.calls_model or kind.runs_programs
            case Function():
                return True
            case Ref(name):
                if name not in self.known:
                    self.known[name] = name not in self.bodies or self.waits(self.bodies[name])
                return self.known[name]
            case _:
                return any(map(self.waits, parts_of(node)))

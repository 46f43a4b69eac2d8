"""Layout: the recorded calls of a scope as a chain, in levels.

Calls that read each other stand in a sequence, those that don't side by side. So a chain shows what
waits for what, each call runs as soon as it can, and the last is the result.
"""

from __future__ import annotations

from collections import Counter
from functools import reduce
from itertools import zip_longest
from typing import TypeAlias

from chainlang.api.chain import Chain
from chainlang.ir.nodes import Stage
from chainlang.tracer.steps import Scope, Setting, Step
from chainlang.tracer.values import Labels
from chainlang.tracer.wiring import fed, starts_fresh

Unit: TypeAlias = "list[Step]"
"""Calls in a sequence: each reads only the one before it, which nothing else reads."""


def chain_of(
    scope: Scope, labels: Labels, before: tuple[Step, ...] = (), *, is_fed: bool = False
) -> Chain:
    """Return the chain of the calls that the result of a scope needs.

    `before` are the calls whose candidates the first of them find, if they find any (`is_fed`).
    """
    made: list[Chain] = []
    for level in levels(scope):
        parts = [_sequence(unit, labels, before, is_fed=is_fed) for unit in level]
        made.append(reduce(lambda left, right: left & right, parts))
        before, is_fed = tuple(unit[-1] for unit in level), True
    return _in_sequence(made)


def chain_in(scope: Scope, at: Setting) -> Chain:
    """Return the chain of an inner scope that finds the candidates which its call finds."""
    return chain_of(scope, at.labels, at.before, is_fed=at.is_fed)


def levels(scope: Scope) -> list[list[Unit]]:
    """Return the calls that the result needs: those of a level read levels before it only."""
    needed = live(scope)
    steps = [step for step in scope.steps if step in needed]
    needs = {step: set(step.needs()) for step in steps}
    readers = Counter(one for step in steps for one in needs[step])
    units: dict[Step, Unit] = {}
    depth: dict[Step, int] = {}
    found: list[list[Unit]] = []
    for step in steps:  # in the order of the function, so what it reads comes first
        first = next(iter(needs[step]), None)
        if first is not None and len(needs[step]) == 1 and readers[first] == 1:
            units[step], depth[step] = units[first], depth[first]
            units[step].append(step)
            continue
        units[step] = [step]
        depth[step] = max((depth[one] + 1 for one in needs[step]), default=0)
        found += [[]] if depth[step] == len(found) else []
        found[depth[step]].append(units[step])
    return found


def live(scope: Scope) -> set[Step]:
    """Return the calls of a scope that its result needs, directly or not."""
    found: set[Step] = set()
    pending = [scope.result] if scope.result else []
    while pending:
        step = pending.pop()
        if step not in found:
            found.add(step)
            pending += step.needs()
    return found


def _sequence(unit: Unit, labels: Labels, before: tuple[Step, ...], *, is_fed: bool) -> Chain:
    """Return the chain of calls that read one another; a label names what is up to it."""
    made: list[Chain] = []
    unnamed: list[Chain] = []
    for step, then in zip_longest(unit, unit[1:]):
        unnamed.append(_wired(step, labels, before, is_fed=is_fed))
        before, is_fed = (step,), True
        is_read = then is None or step.variable or step in then.everything_read()
        if is_read and step is not step.scope.result:
            made.append(_labelled(_in_sequence(unnamed), labels[step]))
            unnamed = []
    return _in_sequence([*made, *unnamed])


def _in_sequence(chains: list[Chain]) -> Chain:
    return reduce(lambda left, right: left >> right, chains)


def _wired(step: Step, labels: Labels, before: tuple[Step, ...], *, is_fed: bool) -> Chain:
    """Return the chain of a call, reading what it was called on."""
    chain = step.make(Setting(labels, labels[step], before, is_fed))
    if not step.of:
        return starts_fresh(chain) if is_fed and not step.inner else chain
    if step.of == before:
        return chain
    return fed(chain, [labels[one] for one in step.of], step)


def _labelled(chain: Chain, label: str) -> Chain:
    """Return a chain with a label; one stage of an op of this name has it already."""
    stage = chain.body
    if isinstance(stage, Stage) and stage.name == label and chain.items:
        return chain
    return chain.named(label)

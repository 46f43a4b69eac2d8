"""Implicit labels: a part is readable by the name of its op, as in ``{{ classify.answer }}``.

An op names its own part if it occurs once in a chain, without a label, and nothing else has its
name. An implicit label is not part of a place, so it changes no sample, and it does not hide a
field of a row. Equivalent chains have the same implicit labels. In the body of an `each`, which has
a history for each item, an op occurs once however many items there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import assert_never

from attrs import define, field

from chainlang.ir.declarations import Item, Op, bodies_of
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
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Then,
    Timeout,
    WithFields,
)
from chainlang.ir.references import references
from chainlang.ir.visit import parts_of

_OFTEN = 2


def own_names(body: Expr, declared: Iterable[Item] = ()) -> frozenset[str]:
    """Return the names of the ops that name their own part in a chain.

    >>> from chainlang.notation import parse, parse_file
    >>> ops = parse_file("op a : generate {} op b : fold {}").node.items
    >>> sorted(own_names(parse("(3:a | x = a) >> b").node, ops)), sorted(
    ...     own_names(parse("(a & a) >> b").node, ops)
    ... )
    (['b'], ['b'])
    """
    declared = tuple(declared)
    counting = _Counting(
        bodies_of(declared), frozenset(item.name for item in declared if isinstance(item, Op))
    )
    counting.learn(body)
    counts = counting.visit(body, gathered=False)
    return frozenset(name for name, often in counts.items() if often == 1) - counting.labels


@define
class _Counting:
    """Counter of the ops in a chain: once, or several times."""

    bodies: Mapping[str, Expr]
    ops: frozenset[str]
    labels: set[str] = field(factory=set)
    _known: dict[tuple[str, bool], Mapping[str, int]] = field(factory=dict)
    """Counts of definitions, with joined branches or not."""
    _branched: dict[str, bool] = field(factory=dict)

    def visit(self, node: Expr, *, gathered: bool) -> Mapping[str, int]:
        """Return the counts of an expression; `gathered` says whether its branches are joined."""
        match node:
            case Stage(name):
                return {name: 1} if name in self.ops else {}
            case Ref(name):
                return self._known.get((name, gathered), {})
            case Named(name, inner):
                self.labels.add(name)
                stage = self.labelled(inner)
                return {stage.name: _OFTEN} if stage else self.visit(inner, gathered=gathered)
            case Branch(parts) if not gathered:  # each has a history of its own
                return self.most(parts, gathered)
            case Fallback() | Route() | Combine():  # one of the parts runs; unknown for `Combine`
                return self.most(parts_of(node), gathered)
            case Cascade() | WithFields():
                return self.summed(node, gathered)
            case Repeat():
                return dict.fromkeys(self.summed(node, gathered), _OFTEN)
            case Then() | Join() | Branch() | Function() | Retry() | Timeout() | Loop() | Each():
                return self.summed(node, gathered)
        assert_never(node)

    def summed(self, node: Expr, gathered: bool) -> Mapping[str, int]:
        found: Counter[str] = Counter()
        times = 1
        inside = gathered or isinstance(node, Join | Repeat)
        for part in parts_of(node):
            for name, often in self.visit(part, gathered=inside).items():
                found[name] = min(_OFTEN, found[name] + often * times)
            if gathered and isinstance(node, Then) and self.is_branched(part):
                times = _OFTEN  # a stage after a branch applies to each of its arms
        return found

    def most(self, parts: Iterable[Expr], gathered: bool) -> Mapping[str, int]:
        found: Counter[str] = Counter()
        for part in parts:
            found |= Counter(self.visit(part, gathered=gathered))
        return found

    def labelled(self, node: Expr) -> Stage | None:
        """Return the stage that a label names, looking into a `retry`; None for other parts."""
        passed: set[str] = set()
        while not isinstance(node, Stage):
            match node:
                case Named(name, inner):
                    self.labels.add(name)
                    node = inner
                case Retry(inner):
                    node = inner
                case Ref(name) if name in self.bodies and name not in passed:
                    passed.add(name)
                    node = self.bodies[name]
                case Then() | Join() | Branch() | Repeat() | Ref() | Function() | Combine():
                    return None
                case Fallback() | Cascade() | Timeout() | Route() | Loop() | Each() | WithFields():
                    return None
                case _:
                    assert_never(node)
        return node if node.name in self.ops else None

    def is_branched(self, node: Expr) -> bool:
        """Return whether a part has several results, resolving references."""
        match node:
            case Branch():
                return True
            case Then(parts):
                return any(map(self.is_branched, parts))
            case Named(_, inner):
                return self.is_branched(inner)
            case Ref(name):
                return self._branched.get(name, False)
            case Stage() | Join() | Repeat() | Function() | Combine():
                return False
            case Fallback() | Cascade() | Retry() | Timeout() | Route() | Loop() | Each():
                return False
            case WithFields():
                return False
        assert_never(node)

    def learn(self, body: Expr) -> None:
        """Count the ops of all definitions that an expression uses, in order of dependency.

        It is iterative. Cycles are diagnosed elsewhere.
        """
        begun: set[str] = set()
        pending = [ref.name for ref in references(body)]
        while pending:
            name = pending[-1]
            if name not in self.bodies or name in self._branched:
                pending.pop()
                continue
            below = [ref.name for ref in references(self.bodies[name])]
            if name not in begun and below:
                begun.add(name)
                pending += below
                continue
            pending.pop()
            self._branched[name] = self.is_branched(self.bodies[name])
            for gathered in (True, False):
                self._known[name, gathered] = self.visit(self.bodies[name], gathered=gathered)

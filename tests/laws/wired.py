"""Chains whose stages read named parts, each of which stands before its reader on every way."""

from __future__ import annotations

from typing import assert_never

from attrs import evolve, frozen
from hypothesis import strategies as st

from chainlang.ir import build
from chainlang.ir.declarations import Item
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
from chainlang.semantics.implicit_labels import own_names

Names = frozenset[str]


def wired(draw: st.DrawFn, node: Expr, declared: tuple[Item, ...]) -> Expr:
    """Return a chain in which some stages and functions read parts, drawn at random."""
    return _Wiring(draw, own_names(node, declared)).visit(node, frozenset()).node


def unwired(node: Node) -> Node:
    """Return a node that reads the part before it."""
    if isinstance(node, Function):
        return evolve(node, of=None)
    if isinstance(node, Stage):
        return evolve(node, options=tuple(one for one in node.options if one.name != "of"))
    return node


@frozen
class _Wired:
    """A part, the names that are there after it on every way, and those once it is joined."""

    node: Expr
    after: Names
    joined: Names


@frozen
class _Wiring:
    draw: st.DrawFn
    own: Names

    def visit(self, node: Expr, known: Names) -> _Wired:
        match node:
            case Stage(name):
                is_fresh = any(one.name == "fresh" for one in node.options)
                of = None if is_fresh else self.some(known)
                options = {one.name: one for one in node.options}
                options |= {} if of is None else {"of": Option("of", of)}
                made = evolve(node, options=build.options(options.values()))
                return self.alone(made, known | ({name} & self.own))
            case Function():
                return self.alone(evolve(node, of=self.some(known)), known)
            case Then(parts):
                found = _Wired(node, known, known)
                joined, nodes = known, []
                for part in parts:
                    found = self.visit(part, found.after)
                    joined |= found.joined
                    nodes.append(found.node)
                return _Wired(build.then(*nodes), found.after, joined)
            case Join(parts):
                each = [self.visit(part, known) for part in parts]
                return self.alone(build.join(*(one.node for one in each)), self.all_of(each))
            case Branch(parts):
                each = [self.visit(part, known) for part in parts]
                after = frozenset.intersection(*(one.after for one in each))
                return _Wired(build.branch(*(one.node for one in each)), after, self.all_of(each))
            case Repeat(count, body):
                found = self.visit(body, known)
                return self.alone(build.repeat(count, found.node), found.joined)
            case Named(name, body):
                found = self.visit(body, known)
                return self.alone(evolve(node, body=found.node), found.joined | {name})
            case Fallback(parts):
                each = [self.visit(part, known) for part in parts]
                after = frozenset.intersection(*(one.after for one in each))
                made = evolve(node, parts=tuple(one.node for one in each))
                return self.alone(made, after)
            case Cascade(parts, accept=accept):
                each, after = [], known
                for part in parts:
                    each.append(self.visit(part, after))
                    after = each[-1].after
                made = evolve(
                    node,
                    parts=tuple(one.node for one in each),
                    accept=self.judge(accept, each[0].after),
                )
                return self.alone(made, each[0].after)
            case Route(arms, by, default):
                each = [self.visit(arm.body, known) for arm in arms]
                last = None if default is None else self.visit(default, known)
                ways = [*each, *([] if last is None else [last])]
                made = evolve(
                    node,
                    arms=tuple(
                        evolve(arm, body=one.node) for arm, one in zip(arms, each, strict=True)
                    ),
                    by=self.judge(by, known),
                    default=None if last is None else last.node,
                )
                return self.alone(made, frozenset.intersection(*(one.after for one in ways)))
            case Loop(body, until=until):
                found = self.visit(body, known)
                judged = self.judge(until, found.after)
                return self.alone(evolve(node, body=found.node, until=judged), found.after)
            case Each(body):
                return self.alone(evolve(node, body=self.visit(body, known).node), known)
            case Retry(body) | Timeout(body) | WithFields(body):
                found = self.visit(body, known)
                return self.alone(evolve(node, body=found.node), found.after)
            case Ref() | Combine():
                return self.alone(node, known)
        assert_never(node)

    def alone(self, node: Expr, after: Names) -> _Wired:
        return _Wired(node, after, after)

    def all_of(self, each: list[_Wired]) -> Names:
        return frozenset().union(*(one.joined for one in each))

    def judge(self, by: str | Function, known: Names) -> str | Function:
        return evolve(by, of=self.some(known)) if isinstance(by, Function) else by

    def some(self, known: Names) -> str | tuple[str, ...] | None:
        """Return one name, two or none."""
        if not known or not self.draw(st.booleans()):
            return None
        names = st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=2, unique=True)
        found = tuple(self.draw(names))
        return found[0] if len(found) == 1 else found

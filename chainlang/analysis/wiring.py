"""Checks of wiring: each part that `of` names stands before its reader on every way to it.

It is an analysis of definite assignment: all operands of a join run, one arm of a route does, and
what follows a branch runs after each of its arms.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, assert_never

from attrs import define, evolve, field, frozen

from chainlang.analysis.each_scopes import only_in_each
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.diagnostics.suggest import suggest, unknown
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
from chainlang.ir.normalize import part_name
from chainlang.ir.visit import walk
from chainlang.ir.wiring import parts_read


def wiring_faults(
    body: Expr, declared: Iterable[Item], own: Collection[str], row: Collection[str] = ()
) -> Iterator[Diagnostic]:
    """Yield an error for each name of an `of` that is no part before its reader.

    The definitions that `body` leads to have no cycle. `own`: the ops that name their own part.
    `row`: fields of the row.

    >>> from chainlang.notation import parse
    >>> node = parse('(a = E & b = E) >> (J(of="a") | M(of="c"))').node
    >>> [one.message for one in wiring_faults(node, (), ())]
    ["unknown part 'c' in of="]
    """
    declared = tuple(declared)
    bodies = bodies_of(declared)
    nodes = [one for whole in (body, *bodies.values()) for one in walk(whole)]
    if not any(map(parts_read, nodes)):
        return
    names = frozenset(own) - frozenset(row)
    labels = names | {one.name for one in nodes if isinstance(one, Named)}
    hidden = only_in_each([body], bodies, own)
    ops = frozenset(one.name for one in declared if isinstance(one, Op))
    check = _Check(bodies, names, labels, hidden, ops - names, frozenset(row))
    check.after(body, _Before())
    yield from dict.fromkeys(check.found)


_Known: TypeAlias = Mapping[str, str]
"""Names of parts; "" for one on every way, else the way that lacks it."""


@frozen
class _Before:
    """Names of the parts before a part, on every way to it."""

    known: _Known = field(factory=dict)
    joined: _Known = field(factory=dict)
    """The same after all arms of the branches before have been joined."""

    @property
    def key(self) -> tuple[Any, ...]:
        """The values that a part after it depends on."""
        return tuple(self.known.items()), tuple(self.joined.items())

    def named(self, name: str) -> _Before:
        return _Before({**self.known, name: ""}, {**self.joined, name: ""})


def _all_of(before: _Before, ways: Iterable[_Before]) -> _Before:
    """Return the names before the part after several that are joined."""
    known = dict(before.known)
    for way in ways:
        for name, lacking in way.joined.items():
            known[name] = lacking and known.get(name, lacking)
    return _Before(known, known)


def _one_of(ways: Mapping[str, _Before]) -> _Before:
    """Return the names before the part after several of which one runs."""
    known: dict[str, str] = {}
    for name in dict.fromkeys(name for way in ways.values() for name in way.known):
        lacking = (way.known.get(name, said) for said, way in ways.items())
        known[name] = next(filter(None, lacking), "")
    return _Before(known, known)


@define
class _Check:
    bodies: Mapping[str, Expr]
    own: frozenset[str]
    """Ops that name their own part."""
    anywhere: frozenset[str]
    """Names of all parts of the chain."""
    in_each: frozenset[str]
    """Those that stand in the body of an `each` only."""
    unnamed: frozenset[str]
    """Ops that do not name their own part."""
    row: frozenset[str]
    found: list[Diagnostic] = field(factory=list)
    _done: dict[tuple[Any, ...], _Before] = field(factory=dict)

    def after(self, node: Expr, before: _Before) -> _Before:  # noqa: C901, PLR0912  # a match
        """Check a part, and return the names before the part after it."""
        match node:
            case Stage(name):
                self.read(node, before)
                return before.named(name) if name in self.own else before
            case Function():
                self.read(node, before)
                return before
            case Then(parts):
                for part in parts:
                    before = self.after(part, before)
                return before
            case Join(parts):
                return _all_of(before, [self.after(part, before) for part in parts])
            case Branch(parts):
                ways = {
                    f"the arm '{part_name(part) or index}' of the branch": self.after(part, before)
                    for index, part in enumerate(parts)
                }
                return evolve(_one_of(ways), joined=_all_of(before, ways.values()).known)
            case Named(name, body):
                return self.after(body, before).named(name)
            case Fallback(parts):
                each = enumerate(parts, 1)
                return _one_of(
                    {f"part {at} of the fallback": self.after(part, before) for at, part in each}
                )
            case Route(arms, by, default):
                self.judge(by, before)
                inside = {f'the arm "{arm.key}" of the route': arm.body for arm in arms}
                inside |= {"the default of the route": default} if default is not None else {}
                return _one_of({said: self.after(part, before) for said, part in inside.items()})
            case Loop(body, until=until):
                after = self.after(body, before)
                self.judge(until, after)
                return after
            case Each(body):
                self.after(body, before)
                return before
            case Repeat(body=body) | Retry(body) | Timeout(body) | WithFields(body):
                return self.after(body, before)
            case Cascade(parts, accept=accept):
                done: dict[str, _Before] = {}
                for at, part in enumerate(parts, 1):
                    before = done[f"part {at} of the cascade"] = self.after(part, before)
                    if at < len(parts):
                        self.judge(accept, before)
                return _one_of(done)
            case Ref(name) if name in self.bodies:
                key = (name, *before.key)
                if key not in self._done:
                    self._done[key] = self.after(self.bodies[name], before)
                return self._done[key]
            case Ref() | Combine():  # diagnosed by `resolve`
                return before
        assert_never(node)

    def judge(self, by: str | Function, before: _Before) -> None:
        if isinstance(by, Function):
            self.read(by, before)

    def read(self, node: Stage | Function, before: _Before) -> None:
        """Check the names that a part reads."""
        option = next((one.span for one in getattr(node, "options", ()) if one.name == "of"), None)
        where = part_span(option or part_span(node.span, "of"), "value")
        for name in parts_read(node):
            if before.known.get(name) == "":
                continue
            span = _quoted(name, where)
            if name in before.known:
                message = f"{before.known[name]} has no part '{name}', which this reads"
                hint = f"name a part '{name}' there too, or read what every way has"
            elif name in self.in_each:
                message = f"'{name}' is a part inside an each(): it can be read there alone"
                hint = "read the candidates of the each(): give it a label"
            elif name in self.anywhere:
                message = f"'{name}' does not stand before this part"
                hint = f'of= reads parts of the steps before: ({name} = ...) >> J(of="{name}")'
            else:
                self.found.append(self.unknown(name, before, span))
                continue
            self.found.append(
                Diagnostic("unknown-name", message, span, hint, kind="part", subject=name)
            )

    def unknown(self, name: str, before: _Before, span: Span | None) -> Diagnostic:
        known = tuple(one for one, lacking in before.known.items() if not lacking)
        hint = suggest(name, known, None)
        if hint is None and name in self.row:
            hint = f"'{name}' is a field of the row: write {{{{ {name} }}}} in a prompt"
        elif hint is None and name in self.unnamed:
            hint = (
                f"'{name}' has several parts, or a label: give the one to read a label of its own"
            )
        elif hint is None and not known:
            hint = f"no part before it has a name: write ({name} = ...) >> ..."
        return unknown("part", name, known, span, of=" in of=", hint=hint)


def _quoted(name: str, where: Span | None) -> Span | None:
    """Return the span of a name in the span of the value that has it in quotes."""
    if where is None:
        return None
    at = max(where.text.find(f"{sign}{name}{sign}") for sign in "\"'")
    if at < 0:
        return where
    start = where.start + at
    return Span(where.source, start, start + len(name) + 2)

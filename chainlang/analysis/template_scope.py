"""What a template may read: the fields of a row, named parts and their fields, and what is around.

Without an `input` nobody knows what a row will have, so any name may be right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import assert_never

from attrs import field, frozen

from chainlang.analysis.check_templates import faults
from chainlang.datatypes.check_types import declared_types, shape_of
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import part_span
from chainlang.ir import declarations
from chainlang.ir.declarations import bodies_of
from chainlang.ir.nodes import (
    Branch,
    Combinator,
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
)
from chainlang.ir.visit import walk
from chainlang.notation.literals import at_literal
from chainlang.semantics.combinators import ITEM
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.prelude import prelude

_ALWAYS = frozenset({"id", "query", "responses", "candidates"})
_IN_RETRY = frozenset({"error", "reply"})
_ONE_AT_A_TIME = (
    "only a map reads one candidate at a time",
    "write `map`, or {% for candidate in candidates %}",
)
_OF_PARTS = frozenset({"answer", "candidates"})
_OF_VOTES = frozenset({"final_answer", "votes", "confidence"})


@frozen
class Readable:
    """The names that the templates of a file may read, and the fields of some of them."""

    names: frozenset[str] | None = None
    """None where any may be right."""
    fields: Mapping[str, frozenset[str]] = field(factory=dict)
    of_candidates: frozenset[str] | None = None
    """What expressions read besides: the fields that a candidate may have; None as above."""
    row: frozenset[str] | None = None
    """The fields of a row; None where they are not known."""
    later: frozenset[str] = frozenset()
    """The ops that name their own part, and so not what they read themselves."""

    @classmethod
    def of(
        cls, found: Iterable[declarations.Item], lost: frozenset[str] | None = frozenset()
    ) -> Readable:
        """Return what the items of a file let its templates read.

        Items that could not be read may have named `lost`; None where that may be anything.
        """
        found = tuple(found)
        parts = dict(_parts(found))
        row = _row(found)
        owned = {op.name: _own_fields(op, found) for op in _owned(found) if op.name not in parts}
        parts |= {name: own for name, own in owned.items() if name not in (row or ())}
        fields = {name: own for name, own in parts.items() if own is not None}
        if row is None or lost is None:
            return cls(None, fields)
        here = bodies_of(found).values()
        calls = [
            one for body in here for one in walk(body) if isinstance(one, Combinator | Combine)
        ]
        loops = {one.item or ITEM for one in calls if isinstance(one, Each)}
        retries = _IN_RETRY if any(isinstance(one, Retry) for one in calls) else frozenset()
        refused = [one for one in calls if isinstance(one, Combine)]
        if lost or refused:  # each may have held a `retry` or an `each`, or be meant as one
            texts = {one.value for call in refused for one in call.options}
            lost |= {*_IN_RETRY, ITEM, *(text for text in texts if isinstance(text, str))}
        names = row | _ALWAYS | parts.keys() | loops | retries | lost
        again = any(
            isinstance(one, Loop | Combine) for one in calls
        )  # there, what an op said before is known
        later = frozenset() if again else frozenset(owned.keys() - row)
        return cls(names, fields, _of_candidates(here, found), row, later)

    @property
    def for_expressions(self) -> frozenset[str] | None:
        """The names that conditions, keys and lists may read; None where any may be right."""
        if self.names is None or self.of_candidates is None:
            return None
        return self.names | self.of_candidates

    def template_faults(
        self, setting: declarations.Setting, op: declarations.Op
    ) -> Iterator[Diagnostic]:
        """Yield what is wrong with a template of an op."""
        if not isinstance(setting.value, str):
            return
        known = self.names
        if known is not None:
            known = (known | {"candidate"}) - ({op.name} & self.later)
        never = {} if op.kind == "map" else {"candidate": _ONE_AT_A_TIME}
        where = part_span(setting.span, "value")
        for one in faults(setting.value, known, self.fields, never):
            yield at_literal(one, where)


def derived_faults(node: declarations.Input) -> Iterator[Diagnostic]:
    """Yield what is wrong with the templates that make fields of a row out of others."""
    fields = node.type.fields if isinstance(node.type, declarations.Shape) else ()
    known = {"id", "responses", *(one.name for one in fields if one.type is not None)}
    for one in fields:
        if one.type is None and one.default is not None and isinstance(one.default.value, str):
            for found in faults(one.default.value, known):
                yield at_literal(found, one.default.span)
            known.add(one.name)


def _row(found: tuple[declarations.Item, ...]) -> frozenset[str] | None:
    """Return the fields that a row has; None where that is not said."""
    expected = next((one.type for one in found if isinstance(one, declarations.Input)), None)
    shape = None if expected is None else shape_of(expected, declared_types(found))
    return None if shape is None else frozenset(one.name for one in shape.fields)


def _parts(found: tuple[declarations.Item, ...]) -> Iterator[tuple[str, frozenset[str] | None]]:
    """Yield each named part with the fields that its output has; None where that is not known."""
    bodies = bodies_of(found)
    for body in bodies.values():
        for one in walk(body):
            if isinstance(one, Named):
                yield one.name, _output(one.body, found, bodies, 0)


def _owned(found: tuple[declarations.Item, ...]) -> Iterator[declarations.Op]:
    """Yield the ops that name their own part in some chain of a file."""
    bodies = bodies_of(found)
    chains = [bodies["main"]] if "main" in bodies else bodies.values()
    names = {name for body in chains for name in own_names(body, found)}
    yield from (one for one in found if isinstance(one, declarations.Op) and one.name in names)


def _own_fields(op: declarations.Op, found: tuple[declarations.Item, ...]) -> frozenset[str] | None:
    """Return the fields of what an op yields; None where it picks, and so has those of another."""
    picks = any(one.name == "choose" for one in op.settings)
    return None if picks else _returned(op, found)


def _output(
    node: Expr, found: tuple[declarations.Item, ...], bodies: Mapping[str, Expr], depth: int
) -> frozenset[str] | None:
    """Return the fields of what a part yields, where it ends in a stage that says so."""
    match node:
        case Then(parts):
            return _output(parts[-1], found, bodies, depth)
        case Named(_, body) | Repeat(_, body):
            return _output(body, found, bodies, depth)
        case Ref(name) if name in bodies and depth < len(bodies):
            return _output(bodies[name], found, bodies, depth + 1)
        case Stage(name):
            ops = {
                **prelude(),
                **{one.name: one for one in found if isinstance(one, declarations.Op)},
            }
            return _own_fields(ops[name], found) if name in ops else None
        case Join() | Branch() | Ref() | Function() | Combine():
            return None
        case Fallback() | Retry() | Timeout() | Route() | Loop() | Each():
            return None
    assert_never(node)


def _of_candidates(
    bodies: Iterable[Expr], found: tuple[declarations.Item, ...]
) -> frozenset[str] | None:
    """Return the fields that the stages of a file yield; None where a function may yield any."""
    ops = {**prelude(), **{one.name: one for one in found if isinstance(one, declarations.Op)}}
    names = {"answer"}
    for one in (one for body in bodies for one in walk(body)):
        if isinstance(one, Function):
            return None
        if not isinstance(one, Stage):
            continue
        known = _OF_VOTES if one.name == "M" else None
        if one.name in ops:
            known = _returned(ops[one.name], found)
        if known is None:
            return None
        names |= {*known, "final_answer"}
    return frozenset(names)


def _returned(op: declarations.Op, found: tuple[declarations.Item, ...]) -> frozenset[str] | None:
    if op.returns is None:
        return _OF_PARTS
    shape = shape_of(op.returns, declared_types(found))
    return None if shape is None else _OF_PARTS.union(one.name for one in shape.fields)

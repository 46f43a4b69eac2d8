"""Flow of names and types through a chain: the record at each stage, before anything runs.

It is an abstract interpretation: a chain is run on all paths at once, with types in place of
values. `TypeFlow` stores the type of the record wherever a template, a condition, a key, a list or
a vote reads it; `chainlang.analysis.field_checks` checks what they read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TypeAlias, assert_never

from attrs import define, evolve, field

from chainlang.analysis.candidate_types import (
    ANYTHING,
    NONE,
    Candidates,
    CandidateType,
    candidate_of,
    chosen,
    drawn,
    voted,
)
from chainlang.analysis.record_types import (
    Name,
    Readable,
    RecordType,
    Row,
    all_of,
    in_expression,
    in_template,
    one_of,
)
from chainlang.analysis.template_reads import items_read, path_read
from chainlang.datatypes.value_types import (
    NEVER,
    NUMBER,
    TEXT,
    UNKNOWN,
    Listing,
    TypeValues,
    Unknown,
    ValueType,
    item_of,
    options_of,
)
from chainlang.ir.declarations import Op, Setting
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
    Option,
    Ref,
    Repeat,
    Retry,
    Route,
    Stage,
    Table,
    Then,
    Timeout,
    WithFields,
)
from chainlang.ir.template_texts import templates_in
from chainlang.ir.tools import kind_of
from chainlang.ir.visit import parts_of
from chainlang.ir.wiring import parts_read
from chainlang.semantics.combinators import ITEM, ITEM_INDEX, ROUND
from chainlang.semantics.given_fields import expression_of
from chainlang.semantics.prelude import prelude

Reading: TypeAlias = Stage | Route | Loop | Each | Cascade | WithFields
"""A node that reads the record itself: a vote, or a combinator with an expression."""
_BRANCHES = 64  # maximum number of separate branches; beyond, their types are joined
_ROUNDS = 4  # maximum rounds of a loop until its types are stable; beyond, they are unknown


@cache
def _prelude_types() -> Mapping[str, tuple[CandidateType, ...]]:
    return {name: drawn(op, TypeValues()) for name, op in prelude().items()}


@define
class TypeFlow:
    """Abstract interpreter of a chain whose definitions have no cycle."""

    bodies: Mapping[str, Expr]
    ops: Mapping[str, Op]
    types: TypeValues
    own: frozenset[str]
    """Ops that name their own part."""
    row: Row | None = None
    """Fields of a row; None if unknown."""
    at_ops: dict[str, dict[tuple[RecordType, bool], None]] = field(factory=dict)
    """Records at each occurrence of an op, and whether it ignores the candidates there."""
    at_stages: dict[int, tuple[Op, dict[tuple[RecordType, bool], None]]] = field(factory=dict)
    """The same for each stage with a system text of its own, as an op that has nothing else."""
    at_nodes: dict[int, tuple[Reading, dict[RecordType, None]]] = field(factory=dict)
    """Records at each vote, condition, key and list."""
    _made: dict[str, tuple[CandidateType, ...]] = field(factory=lambda: dict(_prelude_types()))
    """Candidates that each op makes of its replies."""
    _known: dict[tuple[int, RecordType], tuple[RecordType, ...]] = field(factory=dict)

    def start(self) -> RecordType:
        """Return the record before the first stage."""
        given = (self.row or {}).get("responses", NEVER)
        if any(isinstance(one, Listing | Unknown) for one in options_of(given)):
            several = candidate_of(item_of(given))
            return RecordType(Candidates(several, several, some=False))
        # A row may have candidates of any type. If its fields are known, an expression with
        # another name is an error nevertheless: it is not meant for a field of a candidate.
        bare = evolve(ANYTHING, fields=evolve(ANYTHING.fields, is_open=self.row is None))
        return RecordType(Candidates((ANYTHING,), (bare,), some=False))

    def visit(self, node: Expr, record: RecordType) -> tuple[RecordType, ...]:
        """Return the records after a part, one for each branch."""
        key = id(node), record  # a part is visited at each use, and in each round of a loop
        if key not in self._known:
            self._known[key] = self._after(node, record)
        return self._known[key]

    def _after(self, node: Expr, record: RecordType) -> tuple[RecordType, ...]:  # noqa: C901, PLR0912  # a match
        match node:
            case Stage():
                return (self._stage(node, record),)
            case Function():
                return (_unknown(record.fed(parts_read(node))),)
            case Then(parts):
                return self._sequence(parts, record)
            case Branch(parts):
                arms = tuple(after for part in parts for after in self.visit(part, record))
                # Two of them, so that what joins them has more than one candidate.
                return arms if len(arms) <= _BRANCHES else (one_of(arms, "a branch"),) * 2
            case Repeat(body=body):
                after = self._gathered([body], record)
                several = evolve(after.candidates, single=False)
                return (evolve(after, candidates=several),)
            case Join(parts):
                return (self._gathered(parts, record),)
            case Named(name, body):
                return (self._gathered([body], record).named(name),)
            case Ref(name):
                if name in self.bodies:
                    return self.visit(self.bodies[name], record)
                return (_unknown(record),)
            case Fallback(parts):
                ways = [self._gathered([part], record) for part in parts]
                return (one_of(ways, "a part of the fallback"),)
            case Route():
                self._note(node, record)
                ways = [self._gathered([part], record) for part in parts_of(node)]
                return (one_of(ways, "an arm of the route"),)
            case Loop(body):
                return (self._loop(node, body, record),)
            case Each(body):
                return (self._each(node, body, record),)
            case Cascade(parts):
                return (self._cascade(node, parts, record),)
            case WithFields(body, fields):
                self._note(node, record)
                given = {one.name: Name(self._given(one, record)) for one in fields}
                made = self._gathered([body], record.inside(**given))
                return (evolve(made, local=record.local),)
            case Retry(body):
                again = Name(TEXT, "another try", is_asked_for=False)
                inside = record.inside(error=again, reply=again)
                return (evolve(self._gathered([body], inside), local=record.local),)
            case Timeout(body):
                return (self._gathered([body], record),)
            case Combine():  # diagnosed by `resolve`
                return (_unknown(record),)
        assert_never(node)

    def _sequence(self, parts: Iterable[Expr], record: RecordType) -> tuple[RecordType, ...]:
        ways: tuple[RecordType, ...] = (record,)
        for part in parts:
            ways = tuple(dict.fromkeys(after for way in ways for after in self.visit(part, way)))
            if len(ways) > _BRANCHES:
                ways = (one_of(ways, "a branch"),)
        return ways

    def _gathered(self, parts: Iterable[Expr], record: RecordType) -> RecordType:
        return all_of([after for part in parts for after in self.visit(part, record)], record)

    def _loop(self, node: Loop, body: Expr, record: RecordType) -> RecordType:
        start = first = record.inside(**{ROUND: Name(NUMBER)})
        for _ in range(_ROUNDS):
            after = self._gathered([body], start)
            again = one_of([first, after], "an earlier round")
            if again == start:
                break
            start = again
        else:
            start = evolve(start, candidates=Candidates((ANYTHING,), (ANYTHING,)))
            after = self._gathered([body], start)
        self._note(node, after)
        return evolve(after, local=record.local)

    def _cascade(self, node: Cascade, parts: tuple[Expr, ...], record: RecordType) -> RecordType:
        ways: list[RecordType] = []
        for part in parts:
            start = evolve(ways[-1] if ways else record, candidates=record.candidates)
            ways.append(self._gathered([part], start))
        for one in ways[:-1]:
            self._note(node, one)
        return one_of(ways, "a part of the cascade")

    def _given(self, one: Option, record: RecordType) -> ValueType:
        """Return the type of a field that a part is given; that of the row if it is declared."""
        if self.row is not None and one.name in self.row:
            return self.row[one.name]
        return given_type(str(one.value), in_template(record, self.row, fresh=False, one=False))

    def _each(self, node: Each, body: Expr, record: RecordType) -> RecordType:
        self._note(node, record)
        items = items_read(node.over)
        item = UNKNOWN if items is None else in_expression(record, self.row).type_of(items)
        local = {ITEM_INDEX: Name(NUMBER), node.item or ITEM: Name(item)}
        inside = evolve(record, candidates=NONE).inside(**local)
        made = self._gathered([body], inside).candidates
        return evolve(record, candidates=evolve(made, some=False, single=False))

    def _stage(self, node: Stage, record: RecordType) -> RecordType:
        record = record.fed(parts_read(node))
        before = record.candidates
        if node.name == "M":
            self._note(node, record)
            extracts = any(one.name == "extract" for one in node.options)
            winner = voted(before, by_of(node), extracts=extracts)
            return evolve(record, candidates=before.after(winner, single=True))
        op = self.ops.get(node.name) or prelude().get(node.name)
        if op is None:  # diagnosed by `resolve`
            return _unknown(record)
        options = {one.name: one for one in node.options}
        given = {one.name: one.value for one in op.settings}
        fresh = options["fresh"].value if "fresh" in options else given.get("fresh")
        at = (record, fresh is True)
        if node.name in self.ops:
            self.at_ops.setdefault(node.name, {})[at] = None
        own = [one for one in node.options if is_read(one)]
        if own:
            read = tuple(
                Setting(one.name, one.value, span=one.span)
                for one in own
                if isinstance(one.value, str | Table)
            )
            texts = evolve(op, settings=read)
            self.at_stages.setdefault(id(node), (texts, {}))[1][at] = None
        if node.name not in self._made:
            self._made[node.name] = drawn(op, self.types)
        made = self._made[node.name]
        if any(one.name == "choose" for one in op.settings):
            made = chosen(made, before, op.name)
        single = node.count == 1 and (kind_of(op) != "map" or before.single)
        after = evolve(record, candidates=before.after(made, single=single))
        is_hidden = self.row is not None and node.name in self.row
        return after.named(node.name) if node.name in self.own and not is_hidden else after

    def _note(self, node: Reading, record: RecordType) -> None:
        self.at_nodes.setdefault(id(node), (node, {}))[1][record] = None


def _unknown(record: RecordType) -> RecordType:
    """Return the record after a part with unknown candidates."""
    return evolve(record, candidates=record.candidates.after((ANYTHING,), some=False))


def is_read(option: Option | Setting) -> bool:
    """Return whether an option of a stage is a template over the record before it."""
    return any(templates_in([option]))


def given_type(template: str, readable: Readable) -> ValueType:
    """Return the type of the value of a template that a part is given."""
    expression = expression_of(template)
    if expression is None:
        return TEXT
    path = path_read(expression)
    return UNKNOWN if path is None else readable.type_of(path)


def by_of(vote: Stage) -> str | None:
    """Return the field that a vote counts; None for the answer."""
    by = next((one.value for one in vote.options if one.name == "by"), None)
    return by if isinstance(by, str) else None

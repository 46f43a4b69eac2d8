"""Checks that the names and fields which a chain reads exist.

Each template, expression and vote is checked against the type of the record that reaches it. If the
type is unknown, as in definitions that `main` does not use, any field is accepted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeAlias, assert_never

from attrs import evolve, frozen

from chainlang.analysis.candidate_types import lacking, reply_of
from chainlang.analysis.check_templates import template_fault
from chainlang.analysis.choice_checks import choice_faults
from chainlang.analysis.each_scopes import only_in_each
from chainlang.analysis.given_checks import given_misfit, unknown_fields
from chainlang.analysis.hidden_names import (
    hidden_at_the_end,
    hidden_fields,
    words_in_expression,
    words_in_template,
)
from chainlang.analysis.path_faults import COUNTERS, Reader
from chainlang.analysis.record_types import (
    Name,
    Readable,
    RecordType,
    Row,
    at_any,
    in_expression,
    in_template,
)
from chainlang.analysis.scope import Scope
from chainlang.analysis.type_flow import Reading, TypeFlow, by_of, is_read
from chainlang.analysis.typed_lints import typed_lints
from chainlang.analysis.value_lints import (
    lonely_votes,
)
from chainlang.analysis.wanted_types import misfit
from chainlang.analysis.wiring import wiring_faults
from chainlang.datatypes.check_types import declared_types, shape_of
from chainlang.datatypes.value_types import (
    TEXT,
    UNKNOWN,
    TypeValues,
    field_of,
    names_of,
)
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.diagnostics.suggest import unknown
from chainlang.ir import declarations
from chainlang.ir.builtins import EXPRESSIONS, FIELDS, WORDS
from chainlang.ir.declarations import Item, Op, Setting, bodies_of, is_typed
from chainlang.ir.nodes import (
    Cascade,
    Each,
    Fallback,
    Function,
    Loop,
    Named,
    Node,
    Option,
    Retry,
    Route,
    Stage,
    WithFields,
)
from chainlang.ir.template_texts import templates_in
from chainlang.ir.tools import kind_of
from chainlang.ir.visit import walk
from chainlang.ir.wiring import parts_read
from chainlang.notation.literals import at_literal, inside
from chainlang.semantics.combinators import ITEM
from chainlang.semantics.expressions import faults
from chainlang.semantics.implicit_labels import own_names
from chainlang.semantics.input_schema import declared_fields

_ALWAYS = frozenset(WORDS) - {"answer"}
Places: TypeAlias = Collection[tuple[RecordType, bool]]
"""Records at each occurrence of an op, and whether it ignores the candidates there."""


def at_literals(reader: Reader, literal: Span | None) -> Iterator[Diagnostic]:
    """Yield the diagnostics of a text, with their spans moved into its literal."""
    yield from (at_literal(found, literal) for found in reader.faults())


def derived_faults(node: declarations.Input, declared: Iterable[Item]) -> Iterator[Diagnostic]:
    """Yield the errors of the templates of derived fields of a row."""
    fields = node.type.fields if isinstance(node.type, declarations.Shape) else ()
    types = TypeValues(declared_types(declared))
    known = {"id": Name(), "responses": Name()}
    known |= {one.name: Name(types.of(one.type)) for one in fields if one.type is not None}
    for one in fields:
        if one.type is None and one.default is not None and isinstance(one.default.value, str):
            reader = Reader(one.default.value, Readable(known, is_open=False))
            yield from at_literals(reader, one.default.span)
            known = {**known, one.name: Name()}


def row_of(declared: Iterable[Item]) -> Row | None:
    """Return the types of a row's fields; None if they are not declared."""
    declared = tuple(declared)
    types = TypeValues(declared_types(declared))
    expected = next((one.type for one in declared if isinstance(one, declarations.Input)), None)
    shape = None if expected is None else shape_of(expected, types.known)
    if shape is None:
        return None
    return {one.name: types.of_field(one) for one in shape.fields}


def field_faults(
    declared: Iterable[Item],
    main: str,
    *,
    flows: bool = True,
    lost: frozenset[str] | None = frozenset(),
    whole: bool = False,
) -> Iterator[Diagnostic]:
    """Yield an error for each missing name or field that the items read; if none, the warnings.

    Without `flows`, as with cyclic definitions, the order of stages is not taken into account.
    `lost`: names that unparsed items may declare; None for any. `whole`: of a whole file, whose
    `main` is what runs, and no example of a part.
    """
    declared = tuple(declared)
    bodies = bodies_of(declared)
    nodes = [one for body in bodies.values() for one in walk(body)]
    if not (whole or any(isinstance(one, Op) for one in declared) or any(map(_reads, nodes))):
        return
    check = _Check.of(declared, nodes, main, flows, lost)
    wired = flows and main in bodies
    found = [
        *(
            wiring_faults(bodies[main], declared, check.flow.own, check.flow.row or ())
            if wired
            else ()
        ),
        *hidden_fields(nodes, declared_fields(declared)),
        *unknown_fields(nodes, declared_fields(declared), declared),
        *hidden_at_the_end(nodes, check.ends, check.flow.row),
        *(one for op in check.flow.ops.values() for one in check.op(op)),
        *(
            one
            for op, places in check.flow.at_stages.values()
            for name, reader, literal in check.prompts(op, places)
            for one in check.fitting(reader, name, literal)
        ),
        *(
            one
            for node, seen in check.flow.at_nodes.values()
            for one in check.node(node, tuple(seen))
        ),
    ]
    yield from found
    if not found:
        yield from typed_lints(check.flow, check.readers(), Scope.of(declared).types)
        yield from lonely_votes(check.flow) if whole else ()


def _reads(node: Node) -> bool:
    """Return whether a node itself reads a name or a field, or may hide one."""
    if isinstance(node, Stage | Function) and (parts_read(node) or _has_system(node)):
        return True
    reading_vote = isinstance(node, Stage) and node.name == "M" and bool(node.options)
    return reading_vote or isinstance(
        node, Named | Route | Loop | Each | Fallback | Retry | Cascade | WithFields
    )


def _has_system(node: Stage | Function) -> bool:
    return any(map(is_read, getattr(node, "options", ())))


@frozen
class _Check:
    """An analysed chain, and all names in it."""

    flow: TypeFlow
    named: frozenset[str]
    """Names of parts."""
    in_each: frozenset[str]
    """Those of them that only the body of an `each` has."""
    anywhere: Readable
    """Readable names if the preceding stages are unknown."""
    is_whole: bool
    """Whether every item of the file could be read."""
    ends: tuple[RecordType, ...] = ()
    """Records at the end of the chain."""

    @classmethod
    def of(
        cls,
        declared: tuple[Item, ...],
        nodes: Sequence[Node],
        main: str,
        flows: bool,
        lost: frozenset[str] | None,
    ) -> _Check:
        bodies = bodies_of(declared)
        ops = {one.name: one for one in declared if isinstance(one, Op)}
        chains = [bodies[main]] if main in bodies else list(bodies.values())
        own = frozenset(name for body in chains for name in own_names(body, declared))
        row = row_of(declared)
        flow = TypeFlow(bodies, ops, TypeValues(declared_types(declared)), own, row)
        ends = flow.visit(bodies[main], flow.start()) if flows and main in bodies else ()
        named = frozenset(one.name for one in nodes if isinstance(one, Named)) | own
        in_each = only_in_each(chains, bodies, own)
        items = {one.item or ITEM for one in nodes if isinstance(one, Each)}
        names = {*(row or ()), *_ALWAYS, *named, *items, *(lost or ())}
        is_open = row is None or lost is None
        anywhere = Readable({name: Name() for name in names}, is_open)
        return cls(flow, named, in_each, anywhere, lost == frozenset(), ends)

    # ------------------------------------------------------------ ops

    def op(self, op: Op) -> Iterator[Diagnostic]:
        """Yield the errors of an op's templates, over all its occurrences."""
        places = self.flow.at_ops.get(op.name, ())
        readable = self.readable(op, places)
        for name, reader, literal in self.prompts(op, places):
            yield from self.fitting(reader, name, literal)
        for one in op.settings:
            if one.name == "answer":
                yield from self.answer(op, one, readable)
        yield from choice_faults(op, readable, self.flow)

    def prompts(self, op: Op, places: Places) -> Iterator[tuple[str, Reader, Span | None]]:
        """Yield what the prompts of an op read at some places, with the literals in the source."""
        readable, words = self.readable(op, places), self.words(op, places)
        texts = [(one, False) for one in templates_in(op.settings)]
        texts += [(one, True) for one in op.settings if one.name in EXPRESSIONS]
        for one, is_expression in texts:
            if not isinstance(text := one.value, str):
                continue
            if faults(text) if is_expression else template_fault(text) is not None:
                continue
            reader = self.reader(text, readable, f"'{op.name}' runs")
            reader = evolve(reader, code="expression") if is_expression else reader
            reader = evolve(reader, has_candidate=self.has_candidate(op), words=words)
            yield one.name, reader, part_span(one.span, "value")

    def readers(self) -> Iterator[tuple[Reader, Span | None]]:
        """Yield all templates and conditions, with their literals in the source."""
        ops = [(op, self.flow.at_ops.get(op.name, {})) for op in self.flow.ops.values()]
        for op, places in (*ops, *self.flow.at_stages.values()):
            for _, reader, literal in self.prompts(op, places):
                yield reader, literal
        for node, seen in self.flow.at_nodes.values():
            for _, reader, literal in self.templates(node, tuple(seen)):
                yield reader, literal
            for option in ("accept", "by", "until", "over"):
                text = None if isinstance(node, Stage) else getattr(node, option, None)
                if isinstance(text, str) and not faults(text):
                    reader = self.condition(option, text, tuple(seen))
                    yield reader, part_span(part_span(node.span, option), "value")

    def readable(self, op: Op, places: Places) -> Readable:
        if not places:
            return self.anywhere
        one = kind_of(op) == "map"
        found = [in_template(record, self.flow.row, fresh=fresh, one=one)
                 for record, fresh in places]  # fmt: skip
        readable = at_any(found, self.named | COUNTERS.keys())
        if not is_typed(op) or FIELDS in readable.names:
            return readable
        return evolve(readable, names={**readable.names, FIELDS: Name(TEXT)})

    def has_candidate(self, op: Op) -> bool:
        """Return whether ``candidate`` is a candidate or a field of the row."""
        return kind_of(op) == "map" or "candidate" in (self.flow.row or {})

    def words(self, op: Op, places: Places) -> frozenset[str]:
        """Return the words that hide fields of the row in the templates of an op."""
        records = [record for record, _ in places]
        return self.hiding(words_in_template(records, one=kind_of(op) == "map"))

    def hiding(self, words: Collection[str]) -> frozenset[str]:
        return frozenset((self.flow.row or {}).keys() & words)

    def reader(self, text: str, readable: Readable, does: str) -> Reader:
        later = self.named - (self.flow.row or {}).keys()
        in_each = self.in_each - (self.flow.row or {}).keys()
        return Reader(text, readable, does, later, in_each=in_each, is_whole=self.is_whole)

    def answer(self, op: Op, setting: Setting, readable: Readable) -> Iterator[Diagnostic]:
        """Yield the errors of an op's answer expression."""
        if not isinstance(setting.value, str) or faults(setting.value):
            return
        reply = reply_of(op, self.flow.types)
        own = {name: Name(field_of(reply, name).type) for name in names_of(reply)}
        names = {**readable.names, "text": Name(TEXT), **own}
        known = Readable(names, readable.is_open or reply == UNKNOWN)
        reader = Reader(
            setting.value, known, f"'{op.name}' has replied", code="expression",
            is_whole=self.is_whole,
        )  # fmt: skip
        if reply != UNKNOWN and not any(one.root in names for one in reader.reads):
            # An answer has to read the reply, whatever fields a row has.
            reader = evolve(reader, readable=evolve(known, is_open=False))
        yield from at_literals(reader, part_span(setting.span, "value"))

    # ------------------------------------------------------------ votes and combinators

    def node(self, node: Reading, records: tuple[RecordType, ...]) -> Iterator[Diagnostic]:
        """Yield the errors of a vote or a combinator, over all its occurrences."""
        match node:
            case Stage():
                yield from self.vote(node, records)
            case Route(by=by):
                yield from self.expression(node, "by", by, records)
            case Loop(until=until):
                yield from self.expression(node, "until", until, records)
            case Each(over=over):
                yield from self.expression(node, "over", over, records)
            case Cascade(accept=accept):
                yield from self.expression(node, "accept", accept, records)
            case WithFields():
                yield from self.given(node, records)
            case _:
                assert_never(node)

    def given(self, node: WithFields, records: tuple[RecordType, ...]) -> Iterator[Diagnostic]:
        for one, reader, literal in self.templates(node, records):
            wrong = list(at_literals(reader, literal))
            yield from wrong
            row = self.flow.row or {}
            if not wrong and (other := given_misfit(one.name, reader, row, literal)) is not None:
                yield other

    def templates(
        self, node: Reading, records: tuple[RecordType, ...]
    ) -> Iterator[tuple[Option, Reader, Span | None]]:
        """Yield the templates of the fields that a part is given."""
        if not isinstance(node, WithFields):
            return
        found = [in_template(one, self.flow.row, fresh=False, one=False) for one in records]
        readable = at_any(found, self.named | COUNTERS.keys())
        words = self.hiding(words_in_template(records, one=False))
        for one in node.fields:
            text = str(one.value)
            if template_fault(text) is None:
                reader = self.reader(text, readable, "the part is given it")
                reader = evolve(reader, has_candidate="candidate" in (self.flow.row or {}))
                yield one, evolve(reader, words=words), part_span(one.span, "value")

    def expression(
        self, node: Reading, option: str, text: str | Function, records: tuple[RecordType, ...]
    ) -> Iterator[Diagnostic]:
        if not isinstance(text, str) or faults(text):
            return
        reader = self.condition(option, text, records)
        where = part_span(part_span(node.span, option), "value")
        yield from self.fitting(reader, option, where)

    def fitting(self, reader: Reader, option: str, where: Span | None) -> Iterator[Diagnostic]:
        """Yield the errors of an expression whose value has to be of the type of an option."""
        wrong = list(at_literals(reader, where))
        yield from wrong
        if not wrong and (other := misfit(reader, option, self.flow.row or {}, where)) is not None:
            yield other

    def condition(self, option: str, text: str, records: tuple[RecordType, ...]) -> Reader:
        """Return the reader of a condition, a key or a list."""
        found = [in_expression(record, self.flow.row) for record in records]
        readable = at_any(found, self.named | COUNTERS.keys())
        reader = self.reader(text, readable, f"{option}= is read")
        words = self.hiding(words_in_expression(records))
        return evolve(reader, code="expression", words=words)

    def vote(self, node: Stage, records: tuple[RecordType, ...]) -> Iterator[Diagnostic]:
        """Yield the error of a vote whose field some candidate lacks."""
        by = by_of(node)
        if by is None:
            return
        each = tuple(dict.fromkeys(one for record in records for one in record.candidates.each))
        without = lacking(each, by)
        if not without:
            return
        names = tuple(dict.fromkeys(name for one in each for name in names_of(one.fields)))
        option = next(one for one in node.options if one.name == "by")
        where = part_span(option.span, "value")
        span = where and inside(where, 0, len(by))
        stages = " and ".join(f"'{one}'" if one else "the row" for one in without)
        if by not in names:
            of = f" of the candidates of {stages}"
            rule = "leave by= out to count the answers" if by == "answer" or not names else None
            yield unknown("field", by, names, span, code="option", of=of, hint=rule)
            return
        message = f"'{by}' may be absent where M votes: candidates of {stages} have no such field"
        hint = "vote on what has it, or leave by= out to count the answers"
        yield Diagnostic("option", message, span, hint, kind="field", subject=by)

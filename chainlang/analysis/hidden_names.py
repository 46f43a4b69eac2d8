"""Names that hide others: labels, items and words of the language against fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from chainlang.analysis.candidate_types import Candidates
from chainlang.analysis.path_faults import Reader
from chainlang.analysis.record_types import RecordType, Row
from chainlang.datatypes.value_types import Fields, options_of
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span, part_span
from chainlang.ir.builtins import RESERVED, STAGE_TYPES, WORDS, canonical
from chainlang.ir.declarations import Definition, Item, Op
from chainlang.ir.nodes import Each, Expr, Named, Node, WithFields
from chainlang.ir.visit import walk

_INSIDE = ("error", "item_index", "reply", "round")
"""Words that are readable inside some combinators only."""


def labels_of_words(node: Expr) -> Iterator[Diagnostic]:
    """Yield an error for each label that is a word of the language.

    An item may be one, as the query that is asked for each item.

    >>> from chainlang.notation import parse
    >>> [one.message for one in labels_of_words(parse("(query = E) >> J").node)]
    ["the label 'query' is a word of the language: the query of the row"]
    """
    for one, what, name, span in _names(walk(node)):
        if what == "label" and name in WORDS:
            message = f"the {what} '{name}' is a word of the language: {WORDS[name]}"
            yield _renamed(Diagnostic("reserved", message, span), one, name)


def hidden_fields(nodes: Iterable[Node], fields: Iterable[str]) -> Iterator[Diagnostic]:
    """Yield an error for each label and item with the name of a field of the row."""
    declared = frozenset(fields) - WORDS.keys()
    for one, what, name, span in _names(nodes):
        if name in declared:
            message = f"the {what} '{name}' hides the field '{name}' of the row"
            yield _renamed(Diagnostic("duplicate-name", message, span), one, name)


def hidden_at_the_end(
    nodes: Iterable[Node], ends: Sequence[RecordType], row: Row | None
) -> Iterator[Diagnostic]:
    """Yield an error for each label that is a field of the candidates at the end of a chain.

    A result has both under one name.
    """
    parts = {name for end in ends for name, _ in end.parts} - (row or {}).keys() - WORDS.keys()
    fields = {name: of for end in ends for name, of in _fields(end.candidates)}
    for one, what, name, span in _names(nodes):
        if what == "label" and name in parts and name in fields:
            whose = f"of {fields[name]}, which ends the chain" if fields[name] else "of the answer"
            message = f"the label '{name}' is hidden by the field '{name}' {whose}"
            yield _renamed(Diagnostic("duplicate-name", message, span), one, name)


def hiding_items(nodes: Sequence[Node]) -> Iterator[Diagnostic]:
    """Yield a warning for each item and given field with the name of a part, which it hides."""
    labels = {one.name for one in nodes if isinstance(one, Named)}
    for node in nodes:
        for given in node.fields if isinstance(node, WithFields) else ():
            if given.name in labels:
                name, where = given.name, part_span(given.span, "name")
                message = f"inside this with_fields(), the field '{name}' hides the part '{name}'"
                hint = f"rename the part, as in {name}_2 = ..., and where it is read"
                yield Diagnostic("hidden-name", message, where, hint, kind="field", subject=name)
    for one, what, name, span in _names(nodes):
        if what == "item" and name in labels:
            message = f"inside this each(), the item '{name}' hides the part '{name}'"
            yield _renamed(Diagnostic("hidden-name", message, span), one, name)


def hiding_variables(reader: Reader, row: Row | None) -> Iterator[Diagnostic]:
    """Yield a warning for each variable of a template with the name of a field of the row."""
    for name, start in dict(reader.all.variables).items():
        if name in {"query", *(row or ())}:
            span = Span(Source(reader.text, "<template>"), start, start + len(name))
            message = f"this variable hides the field '{name}' of the row"
            hint = f"give it another name, as {name}_2"
            yield Diagnostic("hidden-name", message, span, hint, kind="name", subject=name)


def definitions_of_types(items: Sequence[Item]) -> Iterator[Diagnostic]:
    """Yield a warning for each definition with the name of a stage type or a combinator."""
    ops = {one.name for one in items if isinstance(one, Op)}
    for one in items:
        if isinstance(one, Definition) and one.name in RESERVED | ops:
            what = "a stage type" if canonical(one.name) in STAGE_TYPES.keys() | ops else "a call"
            message = f"'{one.name}' is {what} too: without '$' it is not this definition"
            hint = f"rename it, as in {one.name}_2 = ..."
            where = part_span(one.span, "name")
            yield Diagnostic(
                "hidden-name", message, where, hint, kind="definition", subject=one.name
            )


def _names(nodes: Iterable[Node]) -> Iterator[tuple[Node, str, str, Span | None]]:
    """Yield the nodes that give a name to a value, with its kind, the name and its span."""
    for one in nodes:
        if isinstance(one, Named):
            yield one, "label", one.name, part_span(one.span, "name")
        elif isinstance(one, Each) and one.item is not None:
            yield one, "item", one.item, part_span(part_span(one.span, "item"), "value")


def _renamed(found: Diagnostic, node: Node, name: str) -> Diagnostic:
    written = f"{name}_2 = ..." if isinstance(node, Named) else f'item="{name}_2"'
    hint = f"rename it, as in {written}, and where it is read"
    return Diagnostic(found.code, found.message, found.span, hint, kind="label", subject=name)


def _fields(candidates: Candidates) -> Iterator[tuple[str, str | None]]:
    for one in candidates.first:
        for option in options_of(one.fields):
            if isinstance(option, Fields):
                yield from ((name, option.of) for name, _ in option.names)


# ---------------------------------------------------------------- fields that a text reads


def words_in_template(records: Iterable[RecordType], *, one: bool) -> set[str]:
    """Return the words that a template reads before the fields of a row."""
    local = {name for record in records for name, _ in record.local}
    return {"candidates", *(["candidate"] if one else []), *local.intersection(_INSIDE)}


def words_in_expression(records: Iterable[RecordType]) -> set[str]:
    """Return the words that a condition, a key or a list reads before the fields of a row."""
    records = tuple(records)
    has_answer = any(record.candidates.first for record in records)
    return words_in_template(records, one=False) | ({"answer"} if has_answer else set())

"""Checks of the fields that `with_fields` gives a part: their names and types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from chainlang.analysis.path_faults import Reader
from chainlang.analysis.record_types import Row
from chainlang.analysis.type_flow import given_type
from chainlang.analysis.unread_lints import unread_by
from chainlang.datatypes.value_types import (
    NEVER,
    NOTHING,
    TEXT,
    Fields,
    Listing,
    Scalar,
    Unknown,
    ValueType,
    described,
    options_of,
)
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.diagnostics.suggest import unknown
from chainlang.ir.builtins import WORDS
from chainlang.ir.declarations import Item
from chainlang.ir.nodes import Combine, Node, WithFields
from chainlang.ir.verify import is_name
from chainlang.semantics.given_fields import expression_of


def given_names(call: Combine, example: str) -> Iterator[Diagnostic]:
    """Yield an error for each name of a `with_fields` that is no field of a row."""
    if not call.options:
        message = f"{call.name}() gives a part fields, and there is none"
        yield Diagnostic("combinator", message, call.span, f"write {example}")
    for one in call.options:
        where = part_span(one.span, "name")
        if one.name in WORDS and one.name != "query":
            message = f"the field '{one.name}' is a word of the language: {WORDS[one.name]}"
            yield Diagnostic("reserved", message, where, "give another field, or the query")
        elif not is_name(one.name):
            message = f"'{one.name}' can't be a field: it is a keyword of Python"
            yield Diagnostic("reserved", message, where)


def unknown_fields(
    nodes: Iterable[Node], fields: Iterable[str], declared: Iterable[Item]
) -> Iterator[Diagnostic]:
    """Yield an error for each given field that `input` does not declare, and that nothing reads.

    `fields`: those that it declares.
    """
    known = tuple(sorted(fields))
    if not known:
        return
    given = (node for node in nodes if isinstance(node, WithFields))
    for one, read in unread_by(given, declared):
        if one.name not in known and one.name != "query":
            where, of = part_span(one.span, "name"), " in with_fields()"
            yield unknown("field", one.name, tuple(sorted({*known, *read})), where, of=of)


def given_misfit(name: str, reader: Reader, row: Row, where: Span | None) -> Diagnostic | None:
    """Return the error of a value that can't be of the type that `input` declares for its field."""
    kind = given_type(reader.text, reader.readable)
    wanted = row.get(name)
    if wanted is None or kind == NEVER:
        return None
    if any(_fits(one, other) for one in options_of(kind) for other in options_of(wanted)):
        return None
    message = f"the field '{name}' is {described(wanted)}, and this is {described(kind)}"
    hint = "a template that is one {{ ... }} keeps the type of its value; any other is a text"
    one = expression_of(reader.text)
    if one is not None and TEXT in options_of(wanted) and isinstance(kind, Scalar):
        hint = f'for its text, write {name}="{{{{ {one} | string }}}}"'
    return Diagnostic("expression", message, where, hint, kind="field", subject=name)


def _fits(found: ValueType, wanted: ValueType) -> bool:
    """Return whether a value may be converted as that of a row is; a text may be a number."""
    if isinstance(found, Unknown) or isinstance(wanted, Unknown):
        return True
    if isinstance(found, Scalar) and isinstance(wanted, Scalar):
        if NOTHING in (found.whole, wanted.whole):
            return found.whole == wanted.whole
        return wanted.whole != TEXT or found.whole == TEXT
    return any(isinstance(found, kind) and isinstance(wanted, kind) for kind in (Listing, Fields))

"""Checks of the lists in a row that replies have values of: ``one("choices")``."""

from __future__ import annotations

from collections.abc import Iterator

from chainlang.analysis.record_types import Readable
from chainlang.analysis.type_flow import TypeFlow
from chainlang.datatypes.row_types import row_choices
from chainlang.datatypes.value_types import (
    NEVER,
    NUMBER,
    TEXT,
    Listing,
    Scalar,
    Unknown,
    ValueType,
    described,
    options_of,
)
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import part_span
from chainlang.diagnostics.suggest import unknown
from chainlang.ir.declarations import Op


def choice_faults(op: Op, readable: Readable, flow: TypeFlow) -> Iterator[Diagnostic]:
    """Yield the errors of the lists in a row that an op's replies have values of."""
    for one in () if op.returns is None else row_choices(op.returns, flow.types.known):
        where = part_span(one.span, "name")
        if one.name not in readable.names:
            if not readable.is_open:
                lists = [name for name, it in (flow.row or {}).items() if _may_list(it)]
                hint = None if lists else f"declare {one.name}: list[str] in `input`"
                yield unknown(
                    "field", one.name, lists, where, code="type", of=" of the row", hint=hint
                )
            continue
        kind = readable.names[one.name].type
        if _may_list(kind):
            continue
        message = f"'{one.name}' is {described(kind)}, not a list"
        if isinstance(kind, Listing):
            message = f"an item of '{one.name}' is {described(kind.item)}, not a text or number"
        own = one.name in (flow.row or {})
        hint = f"declare {one.name}: list[str]" if own else "name a list of the row"
        yield Diagnostic("type", message, where, hint, kind="field", subject=one.name)


def _may_list(kind: ValueType) -> bool:
    """Return whether a value may be a list of texts or numbers."""
    for one in options_of(kind):
        if isinstance(one, Unknown):
            return True
        if isinstance(one, Listing) and one.item != NEVER:
            for item in options_of(one.item):
                if isinstance(item, Unknown):
                    return True
                if isinstance(item, Scalar) and item.whole in (TEXT, NUMBER):
                    return True
    return False

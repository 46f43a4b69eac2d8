"""Check of the columns of a table against the input declaration, before its first row is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.source import part_span
from chainlang.diagnostics.suggest import closest
from chainlang.semantics.input_schema import RowValidator


def header_faults(
    validator: RowValidator, table: str, columns: Sequence[str]
) -> Iterator[Diagnostic]:
    """Yield an error for each required field without a column, and for each column that is refused.

    >>> from chainlang.notation import parse_file
    >>> exact = RowValidator.of(parse_file("input exact { text: str }").node.items)
    >>> [one.message for one in header_faults(exact, "in.csv", ["id", "txt"])]
    ["in.csv: no column 'text', which `input` declares", "in.csv: `input` declares no column 'txt'"]
    """
    required, declared = validator.required(), validator.declared
    fields = {validator.columns.get(name, name): name for name in columns}
    column_of = {name: column for column, name in validator.columns.items()}
    missing = {column_of.get(name, name): name for name in required if name not in fields}
    extra = [] if declared is None else [fields[name] for name in fields if name not in declared]
    for name, declared_as in missing.items():
        near = closest(name, extra)
        hint = f"the columns are {', '.join(map(shown, columns))}"
        if near is not None:
            hint = f"did you mean the column {shown(near)}?"
        what = f"{table}: no column {shown(name)}, which `input` declares"
        where = part_span(required[declared_as], "name" if name == declared_as else "column")
        yield Diagnostic("file", what, where, hint, kind="field", subject=name, known=tuple(extra))
    for name in extra if validator.exact else ():
        near = closest(name, missing)
        hint = "without `exact`, other columns pass through to the results"
        if near is not None:
            hint = f"did you mean the field {shown(near)}?"
        what = f"{table}: `input` declares no column {shown(name)}"
        yield Diagnostic("file", what, hint=hint, kind="field", subject=name, known=tuple(missing))

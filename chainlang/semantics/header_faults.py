"""Check of the columns of a table against the input declaration, before its first row is read."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.source import Span, part_span
from chainlang.diagnostics.suggest import closest, listed, misspelt
from chainlang.semantics.input_schema import RowValidator

NOTHING: Mapping[str, Span | None] = MappingProxyType({})


def header_faults(
    validator: RowValidator,
    table: str,
    columns: Sequence[str],
    read: Mapping[str, Span | None] = NOTHING,
) -> Iterator[Diagnostic]:
    """Yield an error for each field without a column, and for each column that is refused.

    `read`: fields that prompts read in every row, where none are declared. A column beside a field
    with a default, whose name it nearly has, is taken for a misspelling.

    >>> from chainlang.notation import parse_file
    >>> exact = RowValidator.of(parse_file("input exact { text: str }").node.items)
    >>> [one.message for one in header_faults(exact, "in.csv", ["id", "txt"])]
    ["in.csv: no column 'text', which `input` declares", "in.csv: `input` declares no column 'txt'"]
    """
    if validator.type is None:
        yield from _unread(table, columns, read)
        return
    required, declared = validator.required(), validator.declared
    fields = {validator.columns.get(name, name): name for name in columns}
    column_of = {name: column for column, name in validator.columns.items()}
    missing = {column_of.get(name, name): name for name in required if name not in fields}
    extra = [] if declared is None else [fields[name] for name in fields if name not in declared]
    for name, declared_as in missing.items():
        near = closest(name, extra)
        hint = _columns(columns, extra, name)
        if near is not None:
            hint = _renamed(near, name)
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
    for field, span in validator.optional().items() if not validator.exact else ():
        name = column_of.get(field, field)
        if field not in fields and (near := _slip(name, extra)) is not None:
            what = f"{table}: no column {shown(name)}, but {shown(near)}, which `input` lacks"
            hint = f"if they are the same, rename it: {renaming(near, name)}"
            hint += f"\nif not, declare it: {near}: str?"
            where = part_span(span, "name" if name == field else "column")
            known = tuple(extra)
            yield Diagnostic("file", what, where, hint, kind="field", subject=name, known=known)


def _unread(
    table: str, columns: Sequence[str], read: Mapping[str, Span | None]
) -> Iterator[Diagnostic]:
    """Yield an error for each field without a column that prompts read in every row."""
    others = [name for name in columns if name not in ("id", "responses")]
    for name, span in read.items():
        if name in columns or (name == "query" and len(others) == 1):  # which is the query
            continue
        spare = [one for one in others if one not in read]
        near = closest(name, spare)
        hint = _columns(columns, spare, name)
        if near is not None:
            hint = _renamed(near, name)
        what = f"{table}: no column {shown(name)}, which a prompt reads in every row"
        yield Diagnostic("file", what, span, hint, kind="field", subject=name, known=tuple(others))


def _renamed(near: str, name: str) -> str:
    """Return the hint of a field without a column, where a column has nearly its name."""
    return f"did you mean the column {shown(near)}? rename it: {renaming(near, name)}"


def renaming(old: str, new: str) -> str:
    """Return how to give a column a new name, in a shell and in Python.

    >>> print(renaming("Question Text", "query"))
    --rename 'Question Text=query', in Python rename={'Question Text': 'query'}
    """
    return f"--rename {shlex.quote(f'{old}={new}')}, in Python rename={{{old!r}: {new!r}}}"


def _columns(columns: Sequence[str], spare: Sequence[str], name: str) -> str:
    """Return the hint with all columns, and how to rename the first one that is to `spare`."""
    hint = f"the columns are {listed(map(shown, columns))}"
    return f"{hint}\nto use one of them: {renaming(spare[0], name)}" if spare else hint


def _slip(name: str, columns: Sequence[str]) -> str | None:
    """Return the column that misspells a name; one with another number or ending is another."""
    near = misspelt(name, columns)
    if near is None or near.rstrip("s0123456789_") == name.rstrip("s0123456789_"):
        return None
    return near

"""Wiring: a record with the candidates of named parts, for what reads them by the option `of`."""

from __future__ import annotations

from attrs import evolve

from chainlang.semantics.record import Record
from chainlang.semantics.stage_error import StageError


def fed(record: Record, of: tuple[str, ...]) -> Record:
    """Return the record with the candidates of named parts, in written order.

    Without names it is the record itself. Raises `StageError` for an implicit label that a field of
    the row hides, see `Record.named`.
    """
    if not of:
        return record
    for name in of:
        if name not in record.history:
            what = f"of= reads the part '{name}', and this row has a field of that name"
            raise StageError(f"{what}: give the part a label of its own", "input")
    candidates = tuple(one for name in of for one in record.history[name])
    return evolve(record, candidates=candidates)

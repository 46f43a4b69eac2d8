"""Stages whose settings depend on the row: the stage of a record, and all that may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from chainlang.semantics.record import Record
from chainlang.semantics.stages import Meaning

_MOST_KNOWN = 256


def deciders(stage: Meaning) -> tuple[tuple[str, Meaning], ...]:
    """Return the stages that decide settings of a stage in the row, by the names of these."""
    if stage.by_row is None or stage.decider is None:
        return ()
    return tuple((name, stage.decider(op)) for name, op in stage.by_row.autos)


def without_deciders(stage: Meaning) -> Meaning:
    """Return a stage whose settings are decided, with their bounds in place of values."""
    return evolve(stage, decider=None)


def asked(stage: Meaning) -> tuple[Meaning, ...]:
    """Return what a stage may ask: what decides its settings, and itself with each model."""
    return (*(one for _, one in deciders(stage)), *alternatives(stage))


def for_record(stage: Meaning, record: Record, decided: Mapping[str, Any] = {}) -> Meaning:
    """Return a stage with the settings of a record, of which some were `decided` in it.

    Raises `StageError` for an invalid one.

    It is the stage that has these values as constants.
    """
    by_row = stage.by_row
    if by_row is None or stage.remade is None:
        return stage
    values = by_row.values(record, decided)
    key = tuple(values.items())
    if key not in by_row.known:
        if len(by_row.known) >= _MOST_KNOWN:
            by_row.known.clear()
        by_row.known[key] = stage.remade(values)
    found: Meaning = by_row.known[key]
    return found


def alternatives(stage: Meaning) -> tuple[Meaning, ...]:
    """Return a stage with each model that a row may choose; the stage alone for one model.

    Their other settings are the bounds.
    """
    by_row = stage.by_row
    if by_row is None or len(by_row.models) < 2 or stage.remade is None:
        return (stage,)
    rest = evolve(
        by_row,
        models=(),
        templates=tuple(one for one in by_row.templates if one[0] != "model"),
        autos=(),
    )
    return tuple(
        evolve(stage.remade(by_row.typical(model)), by_row=rest if rest.templates else None)
        for model in by_row.models
    )

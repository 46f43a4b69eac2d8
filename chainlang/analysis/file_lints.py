"""Warnings about a file as a whole: its definitions, its prompts, and what they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from chainlang.analysis.check_structure import nothing_before, structure_lints
from chainlang.analysis.field_checks import row_of
from chainlang.analysis.hidden_names import definitions_of_types
from chainlang.analysis.prompt_lints import item_lints
from chainlang.analysis.unread_lints import (
    unread_fields,
    unread_given,
    unread_items,
    unread_parts,
)
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.ir.builtins import StageType
from chainlang.ir.declarations import Item, bodies_of


def file_lints(
    items: tuple[Item, ...], types: Mapping[str, StageType], main: str
) -> Iterator[Diagnostic]:
    """Yield the warnings about a file without errors, whose chain is the definition `main`."""
    bodies = bodies_of(items)
    for body in bodies.values():
        yield from structure_lints(body, types, bodies)
    if main in bodies:
        row = row_of(items)
        may_bring = row is None or "responses" in row
        yield from nothing_before(bodies[main], types, bodies, has_responses=may_bring)
        yield from unread_items(bodies[main], items)
        yield from unread_given(bodies[main], items)
        yield from unread_parts(bodies[main], items)
    prompts = tuple(item_lints(items))
    yield from prompts
    yield from definitions_of_types(items)
    if main in bodies and not prompts:  # which may be why a field is unread
        yield from unread_fields(bodies[main], items)

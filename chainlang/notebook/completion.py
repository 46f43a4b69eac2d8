"""Completion of a chain inside of a cell: in the magics, and in the string of `chain` or `load`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chainlang.api.stage_types import StageWord
from chainlang.editing.complete import complete

_MAGIC = re.compile(r"\s*(?:%%chain[^\n]*\n|%chain[ \t]+)")
_CALL = re.compile(
    r"""(?:\b(?:chain|load)\(\s*(?:text\s*=\s*)?|[>&|]\s*)(?P<quote>\"{3}|'{3}|["'])"""
)


def completions(
    cell: str, offset: int, names: Mapping[str, Any]
) -> tuple[str, list[tuple[str, str]]] | None:
    """Return the word before an offset of a cell, and what it may become, with the kind of each.

    None where there is no chain. `names` are those of the notebook: types of stages that `op` made,
    and functions.

    >>> completions('chain("3:E >> fallb', 19, {})
    ('fallb', [('fallback', 'combinator')])
    """
    start = _start(cell[:offset])
    if start is None:
        return None
    text, at = cell[start:], offset - start
    items = [item for one in names.values() if isinstance(one, StageWord) for item in one.items]
    functions = [name for name, one in names.items() if callable(one) and not name.startswith("_")]
    found = complete(text, at, items, functions)
    if not found:
        return None
    return text[found[0].start : at], [(one.text, one.kind) for one in found]


def _start(before: str) -> int | None:
    """Return where the chain begins that the end of a text stands in; None if it is in none."""
    magic = _MAGIC.match(before)
    if magic is not None:
        return magic.end()
    for found in reversed(list(_CALL.finditer(before))):
        quote, inside = found["quote"], before[found.end() :]
        if quote not in inside and (len(quote) == 3 or "\n" not in inside):
            return found.end()
    return None

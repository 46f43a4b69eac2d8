"""Tables of values, ``{"key": value}``: options and settings whose entries hold no chains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainlang.ir.nodes import Literal, Option, Table


def is_plain(value: object) -> bool:
    """Return whether a value is a literal or a table of such values, not empty, without chains.

    >>> from chainlang.ir.nodes import Stage
    >>> is_plain(Table((Option("a", 1),))), is_plain(Table((Option("a", Stage("E")),)))
    (True, False)
    """
    if isinstance(value, Table):
        return bool(value.entries) and all(is_plain(entry.value) for entry in value.entries)
    return value is None or isinstance(value, str | int | float | tuple)


def plain(value: object) -> Any:
    """Return a value as JSON has it: tables become dicts, and tuples lists.

    >>> plain(Table((Option("a", Table((Option("b", (1, "c")),))),)))
    {'a': {'b': [1, 'c']}}
    """
    if isinstance(value, Table):
        return {entry.name: plain(entry.value) for entry in value.entries}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


def table_of(values: Mapping[str, Literal | Table]) -> Table:
    """Return the table of some values, in their order."""
    return Table(tuple(Option(name, value) for name, value in values.items()))

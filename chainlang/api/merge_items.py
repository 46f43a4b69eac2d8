"""Declarations of several chains together: each once, and none with two meanings."""

from __future__ import annotations

from collections.abc import Iterable

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import MeaningError
from chainlang.ir.declarations import Input, Item, PythonType, TypeDef

_WHAT: dict[type[Item], str] = {TypeDef: "type", PythonType: "type"}


def merged(groups: Iterable[tuple[Item, ...]]) -> tuple[Item, ...]:
    """Return the declarations of several chains together, each once, in the order they come.

    Raises `MeaningError` where one name means two things.
    """
    found: dict[tuple[str, str], Item] = {}
    for items in groups:
        for item in items:
            kind = type(item)
            what, name = _WHAT.get(kind, kind.__name__.lower()), getattr(item, "name", "")
            if found.setdefault((what, name), item) != item:
                message = f"two chains mean different things by the {what} '{name}'"
                hint = "rename one of them before joining the chains"
                if isinstance(item, Input):
                    message, hint = "two chains have different inputs", "say once what a row has"
                raise MeaningError([Diagnostic("duplicate-name", message, item.span, hint)])
    return tuple(found.values())

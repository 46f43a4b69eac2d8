"""Types in the notation as arguments of `op`."""

from __future__ import annotations

from typing import assert_never

from chainlang.ir.declarations import (
    Constant,
    DictOf,
    ListOf,
    Maybe,
    OneOf,
    RowChoice,
    Shape,
    Type,
    TypeName,
)
from chainlang.notation.literals import print_literal
from chainlang.notation.unparse import unparse_type


def returned(node: Type, has_names: bool) -> str:
    """Return a type as an argument of `op`: in Python where it names classes, else as text."""
    if not has_names:
        return print_literal(unparse_type(node))
    match node:
        case Maybe(item):
            return f"{returned(item, has_names)} | None"
        case ListOf(item, None, None):
            return f"list[{returned(item, has_names)}]"
        case DictOf(item):
            return f"dict[str, {returned(item, has_names)}]"
        case OneOf(options):
            return " | ".join(returned(one, has_names) for one in options)
        case TypeName(name, None, None, None):
            return name
        case TypeName() | ListOf() | Constant() | RowChoice() | Shape():
            return print_literal(unparse_type(node))
    assert_never(node)

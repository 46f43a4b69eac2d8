"""Empty cells of CSV: null, an empty text, or no value, as the type of their field says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from chainlang.datatypes.check_types import Declared
from chainlang.ir import declarations

Empty: TypeAlias = Literal["null", "text", "nothing"]
"""An empty cell where the type takes null, else where it takes texts, else of any other type."""


def empty_of(node: declarations.Type, types: Mapping[str, Declared]) -> Empty:
    """Return what an empty cell of a type is.

    >>> from chainlang.notation import parse_file
    >>> text = "input { a: int?, b: str?, c: str(1..), d: int, e: 'x' | 3 }"
    >>> [empty_of(one.type, {}) for one in parse_file(text).node.items[0].type.fields]
    ['null', 'null', 'text', 'nothing', 'text']
    """
    match node:
        case declarations.Maybe():
            return "null"
        case declarations.OneOf(options):
            found = {empty_of(one, types) for one in options}
            return "null" if "null" in found else "text" if "text" in found else "nothing"
        case declarations.Constant(str()) | declarations.TypeName("str"):
            return "text"
        case declarations.TypeName(name) if name in types:
            known = types[name]
            if isinstance(known, declarations.TypeDef):
                return empty_of(known.type, types)
            return "text"  # a class decides by itself
    return "nothing"


def filled(row: Mapping[str, Any], empty: Mapping[str, Empty]) -> dict[str, Any]:
    """Return a row whose empty cells are null, or left out, where their fields take no text.

    >>> filled({"a": "", "b": "", "c": ""}, {"a": "null", "b": "nothing"})
    {'a': None, 'c': ''}
    """
    found = {}
    for name, value in row.items():
        what = empty.get(name, "text") if value == "" else "text"
        if what != "nothing":
            found[name] = None if what == "null" else value
    return found

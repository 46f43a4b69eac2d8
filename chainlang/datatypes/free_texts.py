"""Free texts of a type: fields of a reply that may have any length, and can be closed early."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chainlang.datatypes.check_types import Declared
from chainlang.datatypes.json_schema import json_schema
from chainlang.datatypes.references import followed
from chainlang.ir import declarations

_FIXED = ("const", "enum", "format", "minLength", "pattern")


def free_texts(
    returns: declarations.Type | None, types: Mapping[str, Declared] | None = None
) -> tuple[str, ...]:
    """Return the fields of an object that are free texts, in their order; empty for other types.

    Of a field that may be null the text is one, too. A field before one that may be absent is none.

    >>> from chainlang.notation import parse_file
    >>> op = parse_file('op a : map -> { why: str, sure: bool, then: str? } {}').node.items[0]
    >>> free_texts(op.returns)
    ('why', 'then')
    """
    if returns is None:
        return ()
    document = json.loads(json_schema(returns, types))
    whole, _ = followed(document, document)
    found: list[str] = []
    for name, one in reversed(whole.get("properties", {}).items()):
        if any(_is_free(option) for option in one.get("anyOf", [one])):
            found.insert(0, name)
        if name not in whole.get("required", ()):
            break
    return tuple(found)


def may_have_texts(returns: declarations.Type | None, types: Mapping[str, Declared]) -> bool:
    """Return whether a type, which may have errors, may have free texts."""
    match returns:
        case declarations.Shape(fields):
            return any(_may_be_text(one.type) for one in fields)
        case declarations.TypeName(name):
            declared = types.get(name)
            if isinstance(declared, declarations.TypeDef):
                return isinstance(declared.type, declarations.Shape) and any(
                    _may_be_text(one.type) for one in declared.type.fields
                )
            return declared is not None
    return False


def _may_be_text(node: declarations.Type | None) -> bool:
    inner = node.item if isinstance(node, declarations.Maybe) else node
    return isinstance(inner, declarations.TypeName)


def _is_free(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "string" and schema.keys().isdisjoint(_FIXED)

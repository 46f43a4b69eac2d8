"""Types <-> pydantic: a type of the language as a model, for its JSON schema and its validator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, Union

from chainlang.ir import items
from chainlang.ops.bound import NOTHING, Bound

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Types = Mapping[str, items.TypeDef]


def adapter(
    node: items.Type, types: Types | None = None, bound: Bound = NOTHING
) -> TypeAdapter[Any]:
    """Return pydantic's adapter of a type, which validates values and makes the JSON schema.

    Fields keep the order in which they were written, so that what a model reasons comes before
    what it concludes.

    >>> from chainlang.notation import parse_file
    >>> op = parse_file("op a : fold -> { why: str, score: int(1..5) } {}").node.items[0]
    >>> adapter(op.returns).json_schema()["required"]
    ['why', 'score']
    """
    return _adapter(node, tuple(sorted((types or {}).items())), bound)


@lru_cache(maxsize=256)
def _adapter(
    node: items.Type, types: tuple[tuple[str, items.TypeDef], ...], bound: Bound
) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(_annotation(node, dict(types), bound, "Reply"))


_SIMPLE: dict[str, Any] = {"bool": bool, "float": float, "int": int, "str": str}


def _annotation(node: items.Type, types: Types, bound: Bound, name: str) -> Any:
    from pydantic import Field

    match node:
        case items.TypeName(known, low, high) if known in _SIMPLE:
            if low is None and high is None:
                return _SIMPLE[known]
            if known == "str":
                bounds = Field(min_length=_whole(low), max_length=_whole(high))
            else:
                bounds = Field(ge=low, le=high)
            return Annotated[_SIMPLE[known], bounds]
        case items.TypeName(known) if known in bound.types:
            return bound.types[known]
        case items.TypeName(known):
            return _model(known, types[known].fields, types, bound)
        case items.Constant(value):
            return Literal[value]
        case items.ListOf(item):
            return list[_annotation(item, types, bound, name + "Item")]  # type: ignore[misc]
        case items.Maybe(item):
            return Optional[_annotation(item, types, bound, name)]  # noqa: UP045  # built at run time
        case items.OneOf(options):
            if all(isinstance(one, items.Constant) for one in options):  # one `enum` in the schema
                return Literal[
                    tuple(one.value for one in options if isinstance(one, items.Constant))
                ]
            return Union[tuple(_annotation(one, types, bound, name) for one in options)]  # noqa: UP007
        case items.Shape(fields):
            return _model(name, fields, types, bound)
    raise TypeError(f"not a type: {node!r}")


def _model(name: str, fields: tuple[items.Field, ...], types: Types, bound: Bound) -> Any:
    from pydantic import ConfigDict, create_model

    definitions: dict[str, Any] = {
        one.name: (_annotation(one.type, types, bound, name + one.name.title()), ...)
        for one in fields
        if one.type is not None
    }
    return create_model(name, __config__=ConfigDict(extra="forbid"), **definitions)


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)

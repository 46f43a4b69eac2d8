"""A reply -> a value of its type: as plain JSON values, and as the bound classes make it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from attrs import frozen

from chainlang.ir import items
from chainlang.ops.bound import NOTHING, Bound
from chainlang.ops.misfits import misfits
from chainlang.ops.schemas import has_classes, validator
from chainlang.ops.types import Declared


class Misfit(Exception):
    """A text is no value of a type; the message says where, what stands there, and the rule."""


@frozen
class Value:
    """A value of a type, twice."""

    plain: Any
    """As JSON values: what templates, votes and tables read."""
    typed: Any
    """As Python has it: instances of the classes that are bound to the names of types."""


def read_reply(
    text: str, node: items.Type, types: Mapping[str, Declared] | None = None, bound: Bound = NOTHING
) -> Value:
    """Return the value that a JSON text is.

    What a type of the language says is checked by the language, whether a class is bound or not, so
    binding one changes no result but the Python value. Raises `Misfit`.

    >>> read_reply('{"score": 3}', items.Shape((items.Field("score", items.TypeName("int")),)))
    Value(plain={'score': 3}, typed={'score': 3})
    """
    from pydantic_core import ValidationError

    known = types or {}
    reads, makes = _validators(node, tuple(sorted(known.items())), bound)
    try:
        value = reads.validate_json(text)
        typed = value if makes is None else makes.validate_json(text)
        return Value(plain(value), typed)
    except ValidationError as error:
        raise Misfit("; ".join(misfits(error, node, known))) from error
    except Exception as error:  # a validator of a class is somebody else's code
        raise Misfit(f"its class failed: {type(error).__name__}: {error}") from error


def plain(value: Any) -> Any:
    """Return what a validator made as JSON values; the fields of a class by their own names."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, by_alias=False)


@lru_cache(maxsize=256)
def _validators(
    node: items.Type, types: tuple[tuple[str, Declared], ...], bound: Bound
) -> tuple[Any, Any]:
    known = dict(types)
    classes = has_classes(node, known, bound)
    return (
        validator(node, known, bound),
        validator(node, known, bound, classes=True) if classes else None,
    )

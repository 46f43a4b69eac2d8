"""Messages for validation errors: place in the value, the value found, and the rule."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, assert_never

from chainlang.datatypes.check_types import Declared
from chainlang.ir import declarations
from chainlang.notation.unparse import unparse_type

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails, ValidationError

MOST_ERRORS = 5
"""Maximum number of errors of one value in a message."""
_LONGEST = 60  # characters of a value in a message


def misfits(
    error: ValidationError, node: declarations.Type, types: Mapping[str, Declared]
) -> list[str]:
    """Return a message for each of pydantic's errors in a value of a type.

    >>> from pydantic_core import ValidationError
    >>> from chainlang.datatypes.json_schema import validator
    >>> numbers = declarations.ListOf(declarations.TypeName("int", 1, 5))
    >>> tags = declarations.Shape((declarations.Field("tags", numbers),))
    >>> try:
    ...     validator(tags).validate_json('{"tags": [1, 9, "x"], "tag": 1}')
    ... except ValidationError as error:
    ...     print("\\n".join(misfits(error, tags, {})))
    tags[1]: Input should be less than or equal to 5, not 9
    tags[2]: Input should be a valid integer, unable to parse string as an integer, not "x"
    tag: there is no such field; did you mean 'tags'?
    """
    found = error.errors(include_url=False, include_context=False)
    said = [_said(one, node, types) for one in found[:MOST_ERRORS]]
    more = len(found) - len(said)
    return [*said, *([f"and {more} more"] if more else [])]


def _said(error: ErrorDetails, node: declarations.Type, types: Mapping[str, Declared]) -> str:
    at = error["loc"]
    where = path(at, node, types)
    match error["type"]:
        case "missing":
            message = "it is missing"
        case "extra_forbidden":
            message = "there is no such field" + _known(at, node, types)
        case "dict_type":
            message = f"Input should be an object, not {_shown(error['input'])}"
        case "json_invalid" | "too_short" | "too_long":
            message = error["msg"]
        case _:
            message = f"{error['msg']}, not {_shown(error['input'])}"
    return f"{where}: {message}" if where else message


def _known(at: Sequence[int | str], node: declarations.Type, types: Mapping[str, Declared]) -> str:
    """Return a suggestion for an unknown field, or the list of the known ones."""
    owner: declarations.Type | None = node
    for step in at[:-1]:
        owner = _inside(_named(owner, types), step)
    shape = _named(owner, types)
    names = [one.name for one in shape.fields] if isinstance(shape, declarations.Shape) else []
    return among(str(at[-1]), names)


def among(name: str, names: list[str]) -> str:
    """Return the suggestion for an unknown field as the end of a message, or the known ones."""
    if near := _near(name, names):
        return f"; did you mean '{near}'?"
    return f"; there are {', '.join(names)}" if names else ""


def _near(name: str, names: list[str]) -> str | None:
    """Return the name that a model meant.

    Looser than `diagnostics.suggest`, and it stays as it is: a retry shows the text to the model,
    so it is a part of prompts, and of the keys of samples.
    """
    import difflib  # 5 ms that only an error needs

    lowered = {one.lower(): one for one in sorted(names, reverse=True)}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None


def path(
    at: Sequence[int | str], node: declarations.Type | None, types: Mapping[str, Declared]
) -> str:
    """Return a place in a value in Python's notation, with the option tried of a union.

    >>> text = declarations.TypeName("str")
    >>> parts = declarations.ListOf(declarations.OneOf((text, text)))
    >>> node = declarations.Shape((declarations.Field("parts", parts),))
    >>> path(("parts", 2, "str"), node, {})
    'parts[2] (as str)'
    """
    found = ""
    for step in at:
        node = _named(node, types)
        if isinstance(node, declarations.OneOf):
            found += f" (as {step})"
        else:
            shown = _column(node, step)
            found += f"[{step}]" if isinstance(step, int) else f".{shown}" if found else shown
        node = _inside(node, step)
    return found


def _column(node: declarations.Type | None, step: int | str) -> str:
    """Return the name of a field as rows have it."""
    fields = node.fields if isinstance(node, declarations.Shape) else ()
    return next((one.column for one in fields if one.name == step and one.column), str(step))


def label(node: declarations.Type) -> str:
    """Return the name of an option of a union in messages."""
    return "{ ... }" if isinstance(node, declarations.Shape) else unparse_type(node)


def _named(
    node: declarations.Type | None, types: Mapping[str, Declared]
) -> declarations.Type | None:
    """Resolve names and nullable types, which pydantic's error locations leave out."""
    while True:
        if isinstance(node, declarations.Maybe):
            node = node.item
        elif isinstance(node, declarations.TypeName) and node.name in types:
            declared = types[node.name]
            node = declared.type if isinstance(declared, declarations.TypeDef) else None
        else:
            return node


def _inside(node: declarations.Type | None, step: int | str) -> declarations.Type | None:
    match node:
        case declarations.ListOf(item) | declarations.DictOf(item):
            return item
        case declarations.OneOf(options):
            return next((option for option in options if label(option) == step), None)
        case declarations.Shape(fields):
            return next((one.type for one in fields if one.name == step), None)
        case declarations.TypeName() | declarations.Constant() | declarations.RowChoice():
            return None
        case declarations.Maybe() | None:
            return None
    assert_never(node)


def _shown(value: Any) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):  # an instance of a class
        text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

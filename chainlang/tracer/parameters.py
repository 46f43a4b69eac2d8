"""Parameters of a traced function: the fields of a row."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from chainlang.tracer.places import Place
from chainlang.tracer.refusal import refuse


def parameters(function: Any, constants: Mapping[str, Any], at: Place) -> tuple[str, ...]:
    """Return the parameters that are fields of a row. Refuses those that can't be."""
    name = function.__name__
    found: list[str] = []
    signature = inspect.signature(function)
    for key in constants:
        if key not in signature.parameters:
            refuse(f"{name}() has no parameter '{key}'", None, at)
    for one in signature.parameters.values():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY):
            stars = "*" if one.kind is one.VAR_POSITIONAL else ""
            stars = "**" if one.kind is one.VAR_KEYWORD else stars
            hint = "name each field of a row that the function reads"
            refuse(f"{stars}{one.name} of {name}() names no field of a row", hint, at)
        if one.name in constants:
            continue
        if one.default is not one.empty:
            hint = f"give it now, trace({name}, {one.name}=...), or leave out its default"
            refuse(
                f"the parameter '{one.name}' of {name}() has a default, and fields have none",
                hint,
                at,
            )
        found.append(one.name)
    return tuple(found)

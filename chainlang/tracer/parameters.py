"""Parameters of a traced function: the fields of a row, and their types."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from chainlang.api.chain import Chain, built
from chainlang.api.parse import chain
from chainlang.ir.nodes import Stage
from chainlang.tracer.places import Place
from chainlang.tracer.refusal import refuse


def parameters(
    function: Any, constants: Mapping[str, Any], at: Place
) -> Mapping[str, inspect.Parameter]:
    """Return the parameters that are fields of a row. Refuses those that can't be."""
    name = function.__name__
    found = {}
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
        if one.name not in constants:
            found[one.name] = one
    typed = [one.name for one in found.values() if one.annotation is not one.empty]
    for one in found.values():
        if one.name not in typed and (typed or one.default is not one.empty):
            why = "others have one" if typed else "it has a default"
            hint = f"write {one.name}: str, or trace(f, {one.name}=...) for a constant"
            refuse(f"the parameter '{one.name}' of {name}() has no type, and {why}", hint, at)
    return found


def declared(function: Any, fields: Mapping[str, inspect.Parameter]) -> Chain | None:
    """Return a chain with the `input` of a function; None if its parameters have no types."""
    if all(one.annotation is one.empty for one in fields.values()):
        return None
    from pydantic import create_model

    types = inspect.get_annotations(function, eval_str=True)
    written: dict[str, Any] = {
        name: (types[name], ... if one.default is one.empty else one.default)
        for name, one in fields.items()
    }
    made = chain("E", input=create_model("Row", **written))
    return built(Stage("E"), [made])

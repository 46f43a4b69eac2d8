"""`one`: an annotation in Python for one of the values of a list in the row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.errors import raise_errors
from chainlang.ir.verify import is_name

_KEY = "chainlang_one"
"""Key of the metadata of pydantic's core schemas with the name of the list."""


@frozen
class RowList:
    """Metadata of an annotation: its values are those of a list in the row."""

    name: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Return the schema of the annotated type, with the name of the list."""
        schema = handler(str | int | float if source is self else source)
        return {**schema, "metadata": {**schema.get("metadata", {}), _KEY: self.name}}


def one(name: str) -> Any:
    """Return the annotation ``one("choices")``: one of the values of a list in the row.

    It stands beside the type of the values, which type checkers see, or as a type by itself.

    Raises `OperandError` for what is not the name of a field.

    >>> from typing import Annotated
    >>> from chainlang import op
    >>> pick = op("pick", user="{{ question }}", returns=Annotated[str, one("choices")])
    >>> pick == op("pick", user="{{ question }}", returns='one("choices")')
    True
    """
    if not is_name(name):
        hint = 'write the name of a field with a list: one("choices")'
        if isinstance(name, list | tuple):
            hint = 'for values that are the same in every row, write Literal["a", "b"]'
        raise_errors([Diagnostic("operand", f"one() can't be {shown(name)}", hint=hint)])
    return RowList(name)


def row_list(schema: Mapping[str, Any]) -> str | None:
    """Return the name of the list that the values of a core schema are of; None for others."""
    name = (schema.get("metadata") or {}).get(_KEY)
    return name if isinstance(name, str) else None


def row_list_inside(schema: Any) -> str | None:
    """Return the name of the first list in a core schema, or in one inside it; None without one."""
    pending, seen = [schema], set[int]()
    while pending:
        found = pending.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, Mapping):
            if (name := row_list(found)) is not None:
                return name
            pending += found.values()
        elif isinstance(found, Iterable) and not isinstance(found, str | bytes):
            pending += found if isinstance(found, list | tuple) else ()
    return None

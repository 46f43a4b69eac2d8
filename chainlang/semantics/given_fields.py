"""Fields that `with_fields` gives a part in place of those of the row: their templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from attrs import field, frozen

from chainlang.datatypes.check_types import Declared, declared_types, shape_of
from chainlang.datatypes.classes import NO_CLASSES, Classes
from chainlang.datatypes.json_schema import validator
from chainlang.datatypes.plain_values import plain
from chainlang.datatypes.validation_errors import misfits
from chainlang.ir import declarations
from chainlang.ir.declarations import Item
from chainlang.ir.nodes import WithFields
from chainlang.semantics.bindings import NOTHING, Bound
from chainlang.semantics.expressions import evaluate, faults, names
from chainlang.semantics.prompts import RenderError, only_value, render, variables
from chainlang.semantics.record import Record
from chainlang.semantics.stage_error import StageError


@frozen
class GivenField:
    """A field that a part is given: its name, its template, and its type."""

    name: str
    template: str
    type: declarations.Type | None = None
    """Type that `input` declares; None for any."""
    types: Mapping[str, Declared] = field(factory=dict, hash=False, repr=False)
    classes: Classes = field(default=NO_CLASSES, eq=False, repr=False)

    @property
    def reads(self) -> frozenset[str]:
        """The names that its template reads."""
        expression = expression_of(self.template)
        return variables(self.template) if expression is None else names(expression)

    def value(self, values: Mapping[str, Any]) -> Any:
        """Return its value over the values of a record. Raises `StageError`."""
        expression = expression_of(self.template)
        try:
            if expression is None:
                made: Any = render(self.template, values)
            else:
                made = evaluate(expression, values)
        except RenderError as error:
            raise StageError(
                f"the field '{self.name}' can't be filled in: {error}", "input"
            ) from error
        return made if self.type is None else self.fitted(made, self.type)

    def fitted(self, value: Any, wanted: declarations.Type) -> Any:
        """Return a value of the type that `input` declares. Raises `StageError` for another one."""
        from pydantic_core import ValidationError

        try:
            return plain(validator(wanted, self.types, self.classes).validate_python(value))
        except ValidationError as error:
            why = "; ".join(misfits(error, wanted, self.types))
            raise StageError(
                f"the field '{self.name}' does not fit `input`: {why}", "input"
            ) from error
        except Exception as error:  # validators of a class are user code
            why = f"{type(error).__name__}: {error}"
            raise StageError(
                f"the class of the field '{self.name}' failed: {why}", "input"
            ) from error


@lru_cache(maxsize=1024)
def expression_of(template: str) -> str | None:
    """Return the expression of a template that is a single value, which keeps its type.

    None for any other template, and for a value that is no expression, as one with a filter that
    only templates have.

    >>> expression_of("{{ count.answer }}"), expression_of("n = {{ count.answer }}")
    ('count.answer', None)
    """
    found = only_value(template)
    return None if found is None or faults(found) else found


def given_fields(
    node: WithFields, declared: Iterable[Item], bound: Bound = NOTHING
) -> tuple[GivenField, ...]:
    """Return the fields of a `with_fields`, with the types that `input` declares for them."""
    declared = tuple(declared)
    types = declared_types(declared)
    expected = next((one.type for one in declared if isinstance(one, declarations.Input)), None)
    shape = None if expected is None else shape_of(expected, types)
    wanted = {one.name: one.type for one in shape.fields} if shape is not None else {}
    return tuple(
        GivenField(one.name, str(one.value), wanted.get(one.name), types, bound.classes)
        for one in node.fields
    )


def given(record: Record, fields: Iterable[GivenField]) -> Record:
    """Return the record inside a `with_fields`: its fields hide those of the row, as local names.

    Each is made of the record before. Raises `StageError` for one that can't be made.
    """
    made = {one.name: one.value(record.values_for(one.reads)) for one in fields}
    return record.inside(**made)

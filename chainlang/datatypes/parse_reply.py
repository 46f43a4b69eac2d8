"""A reply -> a value of its type: as plain JSON values, and as the bound classes make it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen

from chainlang.datatypes import enumerate_values
from chainlang.datatypes.check_types import Declared
from chainlang.datatypes.classes import NO_CLASSES, Classes
from chainlang.datatypes.json_schema import has_classes, json_schema, validator
from chainlang.datatypes.validation_errors import misfits
from chainlang.ir import declarations


class Misfit(Exception):
    """A text is no value of a type; the message says where, what stands there, and the rule."""


@frozen
class Value:
    """A value of a type, twice."""

    plain: Any
    """As JSON values: what templates, votes and tables read."""
    typed: Any
    """As Python has it: instances of the classes that are bound to the names of types."""


@frozen(eq=False, slots=False)  # with slots, a cached property would slow down every other one
class Form:
    """What replies have to be: a type, in words for engines, and as a check of what comes."""

    type: declarations.Type
    types: Mapping[str, Declared] = field(factory=dict)
    classes: Classes = NO_CLASSES

    @cached_property
    def schema(self) -> str:
        """The type as a JSON schema."""
        return json_schema(self.type, self.types)

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """Every reply that there may be, as JSON; none, where there are too many."""
        return enumerate_values.replies(self.type, self.types)

    @cached_property
    def _read(self) -> Callable[[str], Value]:
        reads = validator(self.type, self.types, self.classes)
        if not has_classes(self.type, self.types, self.classes):

            def once(text: str) -> Value:
                value = reads.validate_json(text)
                return Value(plain(value), value)

            return once
        makes = validator(self.type, self.types, self.classes, typed=True)
        return lambda text: Value(plain(reads.validate_json(text)), makes.validate_json(text))

    def read(self, text: str) -> Value:
        """Return the value that a JSON text is.

        What a type of the language says is checked by the language, whether a class is bound or
        not, so binding one changes no result but the Python value. Raises `Misfit`.

        >>> score = declarations.Field("score", declarations.TypeName("int"))
        >>> form = Form(declarations.Shape((score,)))
        >>> form.read('{"score": 3}')
        Value(plain={'score': 3}, typed={'score': 3})
        """
        try:
            return self._read(text)
        except Exception as error:  # a validator of a class is somebody else's code
            from pydantic_core import ValidationError

            if isinstance(error, ValidationError):
                raise Misfit("; ".join(misfits(error, self.type, self.types))) from error
            raise Misfit(f"its class failed: {type(error).__name__}: {error}") from error


def plain(value: Any) -> Any:
    """Return what a validator made as JSON values; the fields of a class by their own names."""
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value, by_alias=False)

"""Parsing of replies into values of a type: as JSON values, and as instances of bound classes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

from attrs import field, frozen

from chainlang.datatypes import enumerate_values
from chainlang.datatypes.check_types import Declared
from chainlang.datatypes.classes import NO_CLASSES, Classes
from chainlang.datatypes.closed_schema import extra_fields
from chainlang.datatypes.json_schema import has_classes, json_schema, validator
from chainlang.datatypes.plain_values import plain
from chainlang.datatypes.validation_errors import MOST_ERRORS, misfits
from chainlang.ir import declarations

_PLAIN = frozenset({str, int, bool, type(None)})
"""Types of values that are JSON values as they are."""


class Misfit(Exception):
    """Error for a reply that is not a value of its type; the message has place, value and rule."""


@frozen
class Value:
    """A value of a type in two forms."""

    plain: Any
    """JSON values, for templates, votes and tables."""
    typed: Any
    """Python objects, with instances of the bound classes."""


@frozen(eq=False, slots=False)  # with slots, a cached property would slow down every other one
class Form:
    """The type of a stage's replies, with its JSON schema and its parser."""

    type: declarations.Type
    types: Mapping[str, Declared] = field(factory=dict)
    classes: Classes = NO_CLASSES

    @cached_property
    def schema(self) -> str:
        """JSON schema of the type."""
        return json_schema(self.type, self.types)

    @cached_property
    def choices(self) -> tuple[str, ...]:
        """Every possible reply, as JSON; empty if there are too many."""
        return enumerate_values.replies(self.type, self.types)

    @cached_property
    def values(self) -> tuple[str, ...]:
        """A reply for each value of the type, as JSON; empty if there are too many."""
        return enumerate_values.values(self.type, self.types)

    @cached_property
    def _read(self) -> Callable[[str], Value]:
        reads = validator(self.type, self.types, self.classes)
        if not has_classes(self.type, self.types, self.classes):

            def once(text: str) -> Value:
                value = reads.validate_json(text)
                if type(value) is dict and all(type(one) in _PLAIN for one in value.values()):
                    return Value(value.copy(), value)  # as most replies are
                return Value(plain(value), value)

            return once
        makes = validator(self.type, self.types, self.classes, typed=True)
        return lambda text: Value(plain(reads.validate_json(text)), makes.validate_json(text))

    @cached_property
    def _is_of_class(self) -> bool:
        """Whether a schema is that of a class."""
        return any(isinstance(one, declarations.PythonType) for one in self.types.values())

    def read(self, text: str) -> Value:
        """Parse a reply. Raises `Misfit`.

        The type's own validator checks values whether or not a class is bound, so binding one
        changes nothing but `Value.typed`.

        >>> score = declarations.Field("score", declarations.TypeName("int"))
        >>> form = Form(declarations.Shape((score,)))
        >>> form.read('{"score": 3}')
        Value(plain={'score': 3}, typed={'score': 3})
        """
        try:
            found = self._read(text)
            extra = self._extra(text) if self._is_of_class else ()
        except Exception as error:  # validators of a class are user code
            from pydantic_core import ValidationError

            if isinstance(error, ValidationError):
                raise Misfit("; ".join(misfits(error, self.type, self.types))) from error
            raise Misfit(f"its class failed: {type(error).__name__}: {error}") from error
        if extra:
            raise Misfit("; ".join(extra))
        return found

    def _extra(self, text: str) -> tuple[str, ...]:
        """Return a message for each field that the schema of a class does not have.

        The type's own validator refuses such fields, and that of a class may ignore them.
        """
        from pydantic_core import from_json

        schema = json.loads(self.schema)
        return tuple(islice(extra_fields(from_json(text), schema, schema), MOST_ERRORS))

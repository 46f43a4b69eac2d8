"""Validation of rows against the input declaration, and their conversion to records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any

from attrs import field, frozen

from chainlang.datatypes.check_types import Declared, declared_types, shape_of
from chainlang.datatypes.json_schema import json_schema, validator
from chainlang.datatypes.plain_values import plain
from chainlang.datatypes.references import followed
from chainlang.datatypes.validation_errors import misfits
from chainlang.diagnostics.source import Span
from chainlang.diagnostics.suggest import closest
from chainlang.ir import declarations
from chainlang.ir.declarations import Item
from chainlang.semantics.bindings import NOTHING, Bound
from chainlang.semantics.empty_cells import Empty, empty_of, filled
from chainlang.semantics.not_json import NotJson, json_only, left_out, omissions, reason
from chainlang.semantics.origin import NOWHERE, Origin
from chainlang.semantics.prompts import RenderError, render
from chainlang.semantics.record import Candidate, Record
from chainlang.semantics.seeds import row_id

_OWN = ("id", "responses")
"""Fields that a row may have in addition to the declared ones: its id, and first candidates."""


class InputError(Exception):
    """Validation error of a row; `faults` has a message for each field."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


@frozen(slots=False)  # for the cached property
class RowValidator:
    """Validator of rows, from the declarations of a chain."""

    type: declarations.Type | None = None
    """Type of rows; None to accept any."""
    exact: bool = False
    """Whether a row may have no other fields."""
    derived: tuple[declarations.Field, ...] = ()
    """Fields that are computed from others."""
    types: Mapping[str, Declared] = field(factory=dict)
    bound: Bound = NOTHING

    @classmethod
    def of(cls, declared: Iterable[Item], bound: Bound = NOTHING) -> RowValidator:
        """Return the validator of an `input` declaration; without one, it accepts any row."""
        declared = tuple(declared)
        types = declared_types(declared)
        found = next((one for one in declared if isinstance(one, declarations.Input)), None)
        expected, exact = (None, False) if found is None else (found.type, found.exact)
        if not isinstance(expected, declarations.Shape):
            schema = {} if expected is None else _schema(expected, types)
            exact = exact or schema.get("additionalProperties") is False
            return cls(expected, exact, (), types, bound)
        given = tuple(one for one in expected.fields if one.type is not None)
        derived = tuple(one for one in expected.fields if one.type is None)
        return cls(declarations.Shape(given), exact, derived, types, bound)

    def record(
        self,
        row: Mapping[str, Any],
        origin: Origin = NOWHERE,
        *,
        bare: bool = False,
        strict: bool = False,
        is_text: bool = False,
    ) -> Record:
        """Return the initial record of a row. Raises `InputError` if it does not fit its type.

        A `bare` string is the value of the only required field. The query is the field ``query``,
        or the only field except ``id``; the items of the field ``responses``, a list, are the first
        candidates. Other fields than those declared are columns that pass through the chain; a
        `strict` row has none. Of a row that `is_text`, an empty value is null where its type takes
        null, and no value where it takes no text.

        >>> RowValidator().record({"id": 1, "text": "hello"}).query
        'hello'
        """
        if bare and (only := self._only) is not None:
            row = {only: row["query"]}
        row = self._renamed(row) if self.columns else row
        declared = self.declared
        extra = {} if declared is None else {n: one for n, one in row.items() if n not in declared}
        if self.exact and extra and self._is_class:  # which may leave them out
            raise InputError([f"{name}: there is no such field" for name in extra])
        extra = {} if strict or self.exact else extra
        cells = filled(row, self._empty) if is_text else row
        fields = dict(row) if self.type is None else self._fitted(cells, self.type, extra)
        responses = fields.get("responses")  # of another type, it is a field like any other
        several = responses if isinstance(responses, list | tuple) else ()
        candidates = tuple([_candidate(one) for one in several]) if several else ()
        if self.type is None and "query" in fields and fields["query"] is None:
            raise InputError(["query: it is null"])
        unheld = left_out(row)
        return Record(
            fields,
            self._id(json_only(row) if unheld else row),
            _query(fields),
            candidates,
            origin=origin,
            extra=extra,
            of_row=omissions(unheld) if unheld else (),
        )

    def _id(self, row: Mapping[str, Any]) -> str:
        """Return the identity of a row: its id, or a hash of its declared fields."""
        declared = self.declared
        if declared is None:
            return row_id(row)
        return row_id({name: one for name, one in row.items() if name in declared})

    def _renamed(self, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a row with the names of fields in place of their columns.

        Raises `InputError` if it has both.
        """
        names = {column: name for column, name in self.columns.items() if column in row}
        twice = [one for column, one in names.items() if one in row and one != column]
        if twice:
            raise InputError(f"{one}: the row has this field and its column" for one in twice)
        return {names.get(name, name): value for name, value in row.items()} if names else row

    @cached_property
    def columns(self) -> Mapping[str, str]:
        """Names of the fields whose columns have other names, by column."""
        shape = None if self.type is None else shape_of(self.type, self.types)
        fields = () if shape is None else shape.fields
        return {one.column: one.name for one in fields if one.column is not None}

    @cached_property
    def _empty(self) -> dict[str, Empty]:
        shape = None if self.type is None else shape_of(self.type, self.types)
        fields = () if shape is None else shape.fields
        return {one.name: empty_of(one.type, self.types) for one in fields if one.type is not None}

    @cached_property
    def _is_class(self) -> bool:
        return self.type is not None and shape_of(self.type, self.types) is None

    def json_schema(self) -> dict[str, Any] | None:
        """Return the JSON schema of a row, whose fields have the names of their columns.

        None if the fields of a row are not known.
        """
        shape = None if self.type is None else shape_of(self.type, self.types)
        if shape is None:
            found = {} if self.type is None else dict(_schema(self.type, self.types))
            return found if found.get("properties") else None
        own = tuple(one for one in shape.fields if one.type is not None)
        schema: dict[str, Any] = json.loads(json_schema(declarations.Shape(own), self.types))
        columns = {one.name: one.column or one.name for one in own}
        fields = {columns[name]: one for name, one in schema["properties"].items()}
        needed = [columns[one.name] for one in own if one.default is None]
        return {**schema, "properties": fields, "required": needed, "additionalProperties": True}

    def required(self) -> dict[str, Span | None]:
        """Return the fields that a row must have, with their places in the file."""
        shape = None if self.type is None else shape_of(self.type, self.types)
        if shape is not None:
            return {one.name: one.span for one in shape.fields if one.default is None}
        schema = {} if self.type is None else _schema(self.type, self.types)
        return dict.fromkeys(schema.get("required", ()))

    def optional(self) -> dict[str, Span | None]:
        """Return the fields with a default that a row may have, with their places in the file."""
        shape = None if self.type is None else shape_of(self.type, self.types)
        if shape is not None:
            fields = (one for one in shape.fields if one.type is not None)
            return {one.name: one.span for one in fields if one.default is not None}
        schema = {} if self.type is None else _schema(self.type, self.types)
        return dict.fromkeys(schema.get("properties", {}).keys() - set(schema.get("required", ())))

    @cached_property
    def declared(self) -> frozenset[str] | None:
        """Names of the fields that a row may have; None if it may have any."""
        if self.type is None:
            return None
        names = self._names(self.type)
        if self._is_class:
            schema = _schema(self.type, self.types)
            if "properties" not in schema or schema.get("additionalProperties", False) is not False:
                return None
            names = frozenset(schema["properties"])
        return names | {one.name for one in self.derived} | {*_OWN}

    def _fitted(
        self, row: Mapping[str, Any], wanted: declarations.Type, extra: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a validated row without extra fields, with defaults and derived fields."""
        from pydantic_core import ValidationError

        made = {one.name: row[one.name] for one in self.derived if one.name in row}
        names = self._names(wanted)
        own = {name: row[name] for name in _OWN if name in row and name not in names}
        aside = {*own, *made, *extra}
        rest = {name: value for name, value in row.items() if name not in aside}
        unread = [reason(row[name]) for name in names if isinstance(row.get(name), NotJson)]
        if unread:
            raise InputError(unread)
        try:
            fitted = plain(validator(wanted, self.types, self.bound.classes).validate_python(rest))
        except ValidationError as error:
            faults = misfits(error, wanted, self.types)
            raise InputError([*faults, *self._misspelt(rest, extra)]) from error
        except Exception as error:  # validators of a class are user code
            raise InputError([f"its class failed: {type(error).__name__}: {error}"]) from error
        found = {**own, **fitted}
        for one in self.derived:
            assert one.default is not None  # checked
            given = made.get(one.name)
            template = one.default.value
            found[one.name] = _derived(one.name, template, found) if given is None else given
        return found

    def _misspelt(self, row: Mapping[str, Any], extra: Mapping[str, Any]) -> Iterator[str]:
        """Yield a message for each extra field that has nearly the name of a missing one."""
        for name in self.required():
            near = closest(name, extra) if name not in row else None
            if near is not None:
                yield f"{near}: there is no such field; did you mean '{name}'?"

    @cached_property
    def _only(self) -> str | None:
        """Return the field for a bare string; None for ``query``."""
        shape = None if self.type is None else shape_of(self.type, self.types)
        fields = () if shape is None else shape.fields
        asked = [one.name for one in fields if one.default is None]
        return asked[0] if len(asked) == 1 and "query" not in self._names(shape) else None

    def _names(self, wanted: declarations.Type | None) -> frozenset[str]:
        shape = None if wanted is None else shape_of(wanted, self.types)
        return frozenset(one.name for one in shape.fields) if shape is not None else frozenset()


def record_of(
    row: Mapping[str, Any],
    declared: Iterable[Item] = (),
    bound: Bound = NOTHING,
    *,
    origin: Origin = NOWHERE,
) -> Record:
    """Return the initial record of a single row, as `RowValidator.record`."""
    return RowValidator.of(declared, bound).record(row, origin)


def declared_fields(declared: Iterable[Item]) -> frozenset[str]:
    """Return the names of the fields that the `input` of a chain declares; empty without one."""
    declared = tuple(declared)
    expected = next((one.type for one in declared if isinstance(one, declarations.Input)), None)
    if expected is None:
        return frozenset()
    types = declared_types(declared)
    shape = shape_of(expected, types)
    if shape is not None:
        return frozenset(field.name for field in shape.fields)
    return frozenset(_schema(expected, types).get("properties", ()))


def _schema(node: declarations.Type, types: Mapping[str, Declared]) -> Mapping[str, Any]:
    """Return the JSON schema of a row of a Python class; empty for any other type."""
    known = types.get(node.name) if isinstance(node, declarations.TypeName) else None
    schema = json.loads(known.schema) if isinstance(known, declarations.PythonType) else {}
    found = followed(schema, schema)[0]  # a class that contains itself is a reference
    return {**found, "$defs": schema["$defs"]} if "$defs" in schema else found


def _query(fields: Mapping[str, Any]) -> Any:
    if "query" in fields:
        query = fields["query"]
        return None if isinstance(query, NotJson) else query
    texts = [name for name in fields if name not in ("id", "responses")]
    return fields[texts[0]] if len(texts) == 1 and isinstance(fields[texts[0]], str) else None


def _candidate(value: Any) -> Candidate:
    fields = value if isinstance(value, dict) else {}
    return Candidate(fields.get("answer", value), fields)


def _derived(name: str, template: Any, values: Mapping[str, Any]) -> str:
    try:
        return render(template, values)
    except RenderError as error:
        raise InputError([f"{name}: it can't be made from the row: {error}"]) from error

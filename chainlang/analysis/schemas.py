"""JSON schemas of the rows that a chain takes, and of its answers, for programs that call it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, assert_never

from chainlang.analysis.field_checks import row_of
from chainlang.analysis.program import Program
from chainlang.analysis.type_flow import TypeFlow
from chainlang.datatypes.check_types import declared_types, shape_of
from chainlang.datatypes.json_schema import json_schema
from chainlang.datatypes.value_types import (
    NOTHING,
    NUMBER,
    TEXT,
    TRUTH,
    Fields,
    Listing,
    Scalar,
    TypeValues,
    Unknown,
    ValueType,
    either,
    options_of,
)
from chainlang.ir.declarations import Op, bodies_of
from chainlang.semantics.implicit_labels import own_names

Schema = dict[str, Any]
_SCALARS = {TEXT: "string", NUMBER: "number", TRUTH: "boolean", NOTHING: "null"}


def row_schema(program: Program) -> Schema:
    """Return the JSON schema of a row: of its `input`, else of the fields that the chain reads.

    >>> from chainlang import load
    >>> made = load(text='input { text: str, n: int = 3 }  main = E(system="{{ text }} {{ n }}")')
    >>> row_schema(made.program())["required"], row_schema(made.program())["properties"]["n"]
    (['text'], {'type': 'integer', 'default': 3})
    """
    rows = program.row_validator
    if rows.type is None:
        names = [*program.read_fields]
        return {"type": "object", "properties": {name: {} for name in names}, "required": names}
    shape = shape_of(rows.type, rows.types)
    found: Schema = json.loads(json_schema(shape or rows.type, rows.types))
    if shape is None:  # a class, whose schema says what it requires
        return found
    found["required"] = [one.name for one in shape.fields if one.default is None]
    for one in shape.fields:
        if one.default is not None:
            found["properties"][one.name]["default"] = one.default.value
    if not rows.exact:
        del found["additionalProperties"]  # other fields are columns, which pass through
    return found


def answer_schema(program: Program) -> Schema:
    """Return the JSON schema of the answer; of a branched chain, of an object of its answers.

    Where the type of the answer is not known before it runs, the schema admits any value.

    >>> from chainlang import chain
    >>> answer_schema(chain("3:E >> M").program())
    {'type': 'string'}
    >>> answer_schema(chain("(a = E) | (b = E >> V)").program())
    {'type': 'object'}
    """
    items = program.items
    ops = {one.name: one for one in items if isinstance(one, Op)}
    own = frozenset(own_names(program.body, items))
    types = TypeValues(declared_types(items))
    flow = TypeFlow(bodies_of(items), ops, types, own, row_of(items))
    ends = flow.visit(program.body, flow.start())
    if len(ends) != 1:
        return {"type": "object"}
    return _schema(either(one.answer for one in ends[0].candidates.first))


def _schema(value: ValueType) -> Schema:
    options = options_of(value)
    if not options or any(isinstance(one, Unknown) for one in options):
        return {}
    scalars = [one for one in options if isinstance(one, Scalar)]
    only = [one.value for one in scalars if one.value is not None]
    if len(only) == len(options):
        return {"enum": [json.loads(one) for one in only]}
    several = list[Schema]()
    for found in (_of_option(one) for one in options):
        several += [found] if found not in several else []
    return several[0] if len(several) == 1 else {"anyOf": several}


def _of_option(option: Scalar | Listing | Fields | Unknown) -> Schema:
    match option:
        case Unknown():
            return {}
        case Scalar(value=str(only)):
            return {"const": json.loads(only)}
        case Scalar():
            return {"type": _SCALARS[option]}
        case Listing(item):
            return {"type": "array", "items": _schema(item)}
        case Fields(names):
            return {"type": "object", **_properties(names, is_open=option.is_open)}
    assert_never(option)


def _properties(names: Iterable[tuple[str, ValueType]], *, is_open: bool) -> Schema:
    found = {name: _schema(kind) for name, kind in names}
    return {"properties": found} | ({} if is_open else {"required": [*found]})

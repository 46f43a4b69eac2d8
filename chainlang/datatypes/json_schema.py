"""Conversion of types to JSON schemas, for engines, and to pydantic validators, for replies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, assert_never

from attrs import define, field

from chainlang.datatypes.check_types import Declared
from chainlang.datatypes.classes import NO_CLASSES, Classes
from chainlang.datatypes.closed_schema import closed
from chainlang.datatypes.textual import TEXTUAL
from chainlang.datatypes.validation_errors import label
from chainlang.ir import declarations
from chainlang.ir.visit import walk

if TYPE_CHECKING:
    from pydantic_core import CoreSchema, SchemaValidator
    from pydantic_core.core_schema import TypedDictField

Types = Mapping[str, Declared]

_JSON = {
    "bool": "boolean", "float": "number", "int": "integer", "str": "string",
    **dict.fromkeys(TEXTUAL, "string"),
}  # fmt: skip
_BOUNDS = {"str": ("minLength", "maxLength")}


# ---------------------------------------------------------------- for engines


def json_schema(node: declarations.Type, types: Types | None = None) -> str:
    """Return the JSON schema of a type, as text.

    Fields keep their written order, so that a model's reasoning can come before its conclusion.
    Every field is required, also one with a default.

    >>> from chainlang.notation import parse_file
    >>> op = parse_file('op a : map -> { why: str, score "1 is bad": int(1..) } {}').node.items[0]
    >>> print(json_schema(op.returns))
    {"type": "object", "properties": {"why": {"type": "string"}, "score": {"type": "integer",
     "minimum": 1, "description": "1 is bad"}}, "required": ["why", "score"],
     "additionalProperties": false}
    """
    return _json_schema(node, tuple(sorted((types or {}).items())))


@lru_cache(maxsize=256)
def _json_schema(node: declarations.Type, types: tuple[tuple[str, Declared], ...]) -> str:
    writer = _Writer(dict(types))
    schema = writer.schema(node)
    return json.dumps({**schema, "$defs": writer.defs} if writer.defs else schema)


@define
class _Writer:
    types: Types
    defs: dict[str, Any] = field(factory=dict)
    """Schemas of the named types that are used."""

    def schema(self, node: declarations.Type) -> dict[str, Any]:
        match node:
            case declarations.TypeName(name) if name not in _JSON:
                return self.named(name)
            case declarations.TypeName(name) if name in TEXTUAL:
                return {"type": "string", "pattern": TEXTUAL[name].pattern}
            case declarations.TypeName(name, low, high, pattern):
                least, most = _BOUNDS.get(name, ("minimum", "maximum"))
                found = {least: low, most: high, "pattern": pattern}
                return {"type": _JSON[name]} | _said(found)
            case declarations.Constant(value):
                return {"const": value}
            case declarations.RowChoice():
                return {"type": ["string", "number"]}
            case declarations.ListOf(item, low, high):
                lengths = _said({"minItems": low, "maxItems": high})
                return {"type": "array", "items": self.schema(item)} | lengths
            case declarations.DictOf(item):
                return {"type": "object", "additionalProperties": self.schema(item)}
            case declarations.Maybe(item):
                return {"anyOf": [self.schema(item), {"type": "null"}]}
            case declarations.OneOf(options):
                constants = [one.value for one in options if isinstance(one, declarations.Constant)]
                if len(constants) == len(options):
                    return {"enum": constants}
                return {"anyOf": [self.schema(one) for one in options]}
            case declarations.Shape(fields):
                properties = {one.name: self.field(one) for one in fields}
                return {
                    "type": "object",
                    "properties": properties,
                    "required": list(properties),
                    "additionalProperties": False,
                }
        assert_never(node)

    def field(self, node: declarations.Field) -> dict[str, Any]:
        assert node.type is not None  # only an input's fields have none
        return self.schema(node.type) | _said({"description": node.description})

    def named(self, name: str) -> dict[str, Any]:
        if name not in self.defs:
            declared = self.types[name]
            self.defs[name] = {}  # reserves its position before the types inside it
            if isinstance(declared, declarations.PythonType):
                self.defs[name] = self.python(declared)
            else:
                said = _said({"description": declared.description})
                self.defs[name] = said | self.schema(declared.type)
        return {"$ref": f"#/$defs/{name}"}

    def python(self, declared: declarations.PythonType) -> Any:
        """Return the schema of a Python type, closed, after moving its definitions into `defs`."""
        whole = closed(json.loads(declared.schema))
        inner = whole.pop("$defs", {})
        moved = {f"#/$defs/{key}": f"#/$defs/{declared.name}.{key}" for key in inner}
        moved["#"] = f"#/$defs/{declared.name}"
        self.defs |= {f"{declared.name}.{key}": _moved(one, moved) for key, one in inner.items()}
        return _moved(whole, moved)


def _said(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: one for key, one in found.items() if one is not None}


def _moved(schema: Any, moved: Mapping[str, str]) -> Any:
    """Return a schema whose references point to the new places of the definitions."""
    if isinstance(schema, list):
        return [_moved(one, moved) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _moved(one, moved) for key, one in schema.items()}
    target = found.get("$ref")
    return found | {"$ref": moved.get(target, target)} if isinstance(target, str) else found


# ---------------------------------------------------------------- for values


def validator(
    node: declarations.Type,
    types: Types | None = None,
    classes: Classes = NO_CLASSES,
    *,
    typed: bool = False,
) -> SchemaValidator:
    """Return pydantic's validator of a type, which returns plain JSON values.

    Values of a Python type become instances of the class bound to its name; with `typed`, so do
    values of every type with a bound class.

    >>> validator(declarations.ListOf(declarations.TypeName("int", 1, 5))).validate_json("[1, 5]")
    [1, 5]
    """
    return _validator(node, tuple(sorted((types or {}).items())), classes, typed)


@lru_cache(maxsize=256)
def _validator(
    node: declarations.Type, types: tuple[tuple[str, Declared], ...], classes: Classes, typed: bool
) -> SchemaValidator:
    from pydantic_core import SchemaValidator

    return SchemaValidator(_Core(dict(types), classes.by_name, typed).schema(node))


def has_classes(node: declarations.Type, types: Types, classes: Classes) -> bool:
    """Return whether a class is bound to a type, or to one inside it."""
    pending, seen = [node], set[str]()
    while pending:
        for one in walk(pending.pop()):
            if not isinstance(one, declarations.TypeName) or one.name in _JSON or one.name in seen:
                continue
            seen.add(one.name)
            if one.name in classes.by_name:
                return True
            declared = types[one.name]
            pending += [declared.type] if isinstance(declared, declarations.TypeDef) else []
    return False


@define
class _Core:
    """Converter to pydantic's core schemas, which allow any name of a field."""

    types: Types
    classes: Mapping[str, Any]
    typed: bool

    def schema(self, node: declarations.Type) -> CoreSchema:
        from pydantic_core import core_schema as core

        match node:
            case declarations.TypeName(name) if name not in _JSON:
                return self.named(name)
            case declarations.TypeName("str", low, high, pattern):
                return core.str_schema(
                    min_length=_whole(low), max_length=_whole(high), pattern=pattern
                )
            case declarations.TypeName("int", low, high):
                return core.int_schema(ge=_whole(low), le=_whole(high))
            case declarations.TypeName("float", low, high):
                return core.float_schema(ge=low, le=high, allow_inf_nan=False)
            case declarations.TypeName(name) if name in TEXTUAL:
                return TEXTUAL[name].core_schema()
            case declarations.TypeName(name):
                assert name == "bool"  # the only other one that needs no definition
                return core.bool_schema()
            case declarations.Constant(value):
                return core.literal_schema([value])
            case declarations.RowChoice():
                return core.union_schema([core.str_schema(), core.float_schema()])
            case declarations.ListOf(item, low, high):
                return core.list_schema(self.schema(item), min_length=low, max_length=high)
            case declarations.DictOf(item):
                return core.dict_schema(core.str_schema(), self.schema(item))
            case declarations.Maybe(item):
                return core.nullable_schema(self.schema(item))
            case declarations.OneOf(options):
                return self.union(options)
            case declarations.Shape(fields):
                return core.typed_dict_schema(
                    {one.name: self.field(one) for one in fields}, extra_behavior="forbid"
                )
        assert_never(node)

    def union(self, options: tuple[declarations.Type, ...]) -> CoreSchema:
        from pydantic_core import core_schema as core

        constants = [one.value for one in options if isinstance(one, declarations.Constant)]
        if len(constants) == len(options):
            return core.literal_schema(constants)
        return core.union_schema([(self.schema(one), label(one)) for one in options])

    def field(self, node: declarations.Field) -> TypedDictField:
        from pydantic_core import core_schema as core

        assert node.type is not None  # only an input's fields have none
        schema = self.schema(node.type)
        if node.default is None:
            return core.typed_dict_field(schema)
        value = node.default.value
        plain = list(value) if isinstance(value, tuple) else value
        is_made = any(
            isinstance(one, declarations.TypeName) and one.name in TEXTUAL for one in walk(node)
        )
        made = core.with_default_schema(schema, default=plain, validate_default=is_made)
        return core.typed_dict_field(made)

    def named(self, name: str) -> CoreSchema:
        declared = self.types[name]
        if isinstance(declared, declarations.TypeDef) and not (self.typed and name in self.classes):
            return self.schema(declared.type)
        from pydantic import TypeAdapter

        return TypeAdapter(self.classes[name]).core_schema


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)

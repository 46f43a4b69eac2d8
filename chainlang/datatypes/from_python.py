"""Conversion of Python annotations to types of the language.

It reads pydantic's core schema rather than the annotation, because that has all constraints on a
value, also those of validators and custom types. An annotation without an equivalent in the
language becomes a `PythonType`: its JSON schema, and the class that validates values.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from chainlang.datatypes.check_types import Declared
from chainlang.datatypes.one import row_list, row_list_inside
from chainlang.datatypes.plain_values import plain
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.ir import declarations
from chainlang.ir.builtins import WORDS_OF_TYPES
from chainlang.ir.verify import is_literal, is_name
from chainlang.notation.unparse import unparse_type

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class NoType(Exception):
    """Error for a Python value that is not a type of replies or rows; the message is the reason."""


@frozen
class Described:
    """A converted annotation: its type, the declarations that it needs, and the bound classes."""

    type: declarations.Type
    declared: tuple[Declared, ...] = ()
    classes: Mapping[str, Any] = field(factory=dict)


def described(annotation: Any, name: str) -> Described:
    """Convert an annotation; `name` is the name of a `PythonType` for one that is not a class.

    Raises `NoType` if pydantic can't validate it, or it has no JSON schema.

    >>> described(list[int] | None, "reply").type
    Maybe(item=ListOf(item=TypeName(name='int', low=None, high=None, pattern=None), low=None,...
    """
    adapter = _adapter(annotation)
    reader = _Reader(adapter.core_schema)
    try:
        node = reader.type(adapter.core_schema)
    except _Beyond:
        own = isinstance(annotation, type) and not hasattr(annotation, "__origin__")
        called = _named(annotation.__name__) if own else name
        reader = _Reader(adapter.core_schema)
        node = reader.python(called, annotation)
    return Described(node, tuple(reader.declared.values()), reader.classes)


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

    try:
        return TypeAdapter(annotation)
    except PydanticSchemaGenerationError as error:
        is_type = isinstance(annotation, type) or hasattr(annotation, "__origin__")
        why = "pydantic knows no way to validate it" if is_type else "it is a value, and no type"
        raise NoType(why) from error
    except PydanticUserError as error:
        raise NoType(str(error).split("\n", 1)[0]) from error


def misfit(declared: Declared, annotation: Any) -> list[Diagnostic]:
    """Return an error if a class does not agree with the declared type that it is bound to."""
    name, hint = declared.name, "bind a pydantic model, an enum, a dataclass or another Python type"
    try:
        said = described(annotation, name)
    except NoType as error:
        message = f"{name}= can't be {shown(annotation)}: {error}"
        return [Diagnostic("operand", message, hint=hint)]
    own = next((one for one in said.declared if declarations.TypeName(one.name) == said.type), None)
    if isinstance(declared, declarations.PythonType) or not isinstance(own, declarations.TypeDef):
        return []  # its validator checks each value
    if own.type == declared.type:
        return []
    hint = f"the type: {unparse_type(declared.type)}; the class: {unparse_type(own.type)}"
    message = f"the class {shown(annotation)} does not match the type '{name}'"
    return [Diagnostic("operand", message, hint=hint)]


class _Beyond(Exception):
    """A core schema has a constraint that the language's types don't have."""


_CONSTRAINTS = {
    "str": {"min_length", "max_length", "pattern"},
    "int": {"ge", "le", "gt", "lt"},
    "float": {"ge", "le"},
    "bool": set[str](),
    "date": set[str](),
    "datetime": {"microseconds_precision"},
    "decimal": set[str](),
    "dict": {"keys_schema", "values_schema"},
    "literal": {"expected"},
    "nullable": {"schema"},
    "list": {"items_schema", "min_length", "max_length"},
    "union": {"choices"},
    "tagged-union": {"choices", "discriminator", "from_attributes"},
    "enum": {"cls", "members", "sub_type"},
    "model": {"cls", "schema", "config", "custom_init", "root_model", "generic_origin"},
    "model-fields": {"fields", "computed_fields", "model_name"},
    "dataclass": {"cls", "schema", "config", "fields", "frozen", "slots", "post_init"},
    "dataclass-args": {"fields", "computed_fields", "dataclass_name", "collect_init_only"},
    "typed-dict": {"cls", "fields", "computed_fields", "config", "extra_behavior"},
    "default": {"schema", "default", "default_factory", "default_factory_takes_data"},
    "definitions": {"schema", "definitions"},
    "definition-ref": {"schema_ref"},
}
"""Supported keys of each kind of core schema; any other raises `_Beyond`."""

_FIELD = {"type", "schema", "metadata", "name", "init", "kw_only", "required", "frozen"}
_CONFIG = {"title", "extra_fields_behavior", "frozen"}


@define
class _Reader:
    """Converter of one core schema. Classes become declared types."""

    root: Any
    declared: dict[str, Declared] = field(factory=dict)
    classes: dict[str, Any] = field(factory=dict)
    inside: list[Any] = field(factory=list)
    """Classes being converted, to detect one that contains itself."""

    def type(self, schema: Any) -> declarations.Type:
        if (chosen := row_list(schema)) is not None:
            return _row_choice(chosen, schema)
        kind = schema["type"]
        if kind not in _CONSTRAINTS or _said(schema) - _CONSTRAINTS[kind] or _extras(schema):
            raise _Beyond
        match kind:
            case "str" | "int" | "float" | "bool":
                return _simple(schema)
            case "date" | "datetime" | "decimal":
                return declarations.TypeName(kind)
            case "dict" if schema.get("keys_schema") == {"type": "str"}:
                return declarations.DictOf(self.type(schema.get("values_schema", {"type": "any"})))
            case "literal":
                return _choice([_constant(one) for one in schema["expected"]])
            case "nullable":
                return _maybe(self.type(schema["schema"]))
            case "list" if "items_schema" in schema:
                inner = self.type(schema["items_schema"])
                return declarations.ListOf(
                    inner, schema.get("min_length"), schema.get("max_length")
                )
            case "union" | "tagged-union":
                return self.union(schema)
            case "definitions":
                return self.type(schema["schema"])
            case "definition-ref":
                return self.type(self.definition(schema["schema_ref"]))
            case "enum" | "model" | "dataclass" | "typed-dict":
                return self.named(schema)
        raise _Beyond

    def union(self, schema: Any) -> declarations.Type:
        choices = schema["choices"]
        if isinstance(choices, Mapping):
            if not isinstance(schema["discriminator"], str):
                raise _Beyond
            choices = list(choices.values())
        if any(isinstance(one, tuple) for one in choices):  # labelled
            raise _Beyond
        return _choice([self.type(one) for one in choices])

    def definition(self, ref: str) -> Any:
        pending = [self.root]
        while pending:
            one = pending.pop()
            if one.get("ref") == ref:
                return one
            pending += one.get("definitions", ())
            if one["type"] == "definitions":
                pending.append(one["schema"])
        raise _Beyond

    # ------------------------------------------------------------ classes

    def named(self, schema: Any) -> declarations.TypeName:
        """Return the name of a class, after declaring it as a type or a `PythonType`."""
        cls = schema["cls"]
        name = _named(cls.__name__)
        if self.classes.setdefault(name, cls) is not cls:
            raise NoType(f"two classes in it are called {name}")
        if cls in self.inside:
            raise _Beyond  # it contains itself
        if name not in self.declared:
            self.inside.append(cls)
            others = dict(self.declared), dict(self.classes)
            try:
                found: Declared = declarations.TypeDef(name, self.shape(schema), _words(cls))
            except _Beyond:
                self.declared, self.classes = others
                return self.python(name, cls)
            finally:
                self.inside.pop()
            self.declared[name] = found
        return declarations.TypeName(name)

    def python(self, name: str, annotation: Any) -> declarations.TypeName:
        from pydantic.errors import PydanticInvalidForJsonSchema

        if (chosen := row_list_inside(_adapter(annotation).core_schema)) is not None:
            why = f'it has one("{chosen}") beside what no type of the language has'
            raise NoType(f"{why}: write the choice in a plain class, or the type as text")
        try:
            schema = _adapter(annotation).json_schema()
        except PydanticInvalidForJsonSchema as error:
            raise NoType("it has no JSON schema, that an engine could enforce") from error
        self.declared[name] = declarations.PythonType(name, json.dumps(schema, ensure_ascii=False))
        self.classes[name] = annotation
        return declarations.TypeName(name)

    def shape(self, schema: Any) -> declarations.Type:
        if not _plain_config(schema):
            raise _Beyond
        match schema["type"]:
            case "enum":
                return _choice([_constant(one.value) for one in schema["members"]])
            case "model" if schema.get("root_model"):
                return self.type(schema["schema"])
            case "model":
                return self.fields(schema["schema"], schema["schema"].get("fields", {}).items())
            case "dataclass":
                inner = schema["schema"]
                return self.fields(inner, [(one["name"], one) for one in inner.get("fields", ())])
        return self.fields(schema, schema["fields"].items())

    def fields(self, schema: Any, fields: Any) -> declarations.Shape:
        beyond = _said(schema) - _CONSTRAINTS.get(schema["type"], set())
        if beyond or schema.get("computed_fields"):
            raise _Beyond
        return declarations.Shape(tuple(self.field(name, one) for name, one in fields))

    def field(self, name: str, schema: Any) -> declarations.Field:
        if schema.keys() - _FIELD or not is_name(name) or _extras(schema):
            raise _Beyond
        if schema.get("required") is False or schema.get("init") is False:
            raise _Beyond
        inner, default = schema["schema"], None
        if inner["type"] == "default":
            default = _default(inner)
            inner = inner["schema"]
        said = schema.get("metadata", {}).get("pydantic_js_updates", {}).get("description")
        return declarations.Field(name, self.type(inner), default, said)


def _named(name: str) -> str:
    """Return the name of a class as a valid name; names of generic classes have brackets."""
    plain = re.sub(r"\W+", "_", name).strip("_")
    return plain if is_name(plain) and plain not in WORDS_OF_TYPES else f"{plain}_"


def _said(schema: Any) -> set[str]:
    """Return the keys of a core schema that constrain values."""
    none = ("type", "ref", "metadata")
    return {key for key, value in schema.items() if key not in none and value not in (None, False)}


def _extras(schema: Any) -> bool:
    """Return whether the metadata of a schema has more than a description."""
    metadata = dict(schema.get("metadata") or {})
    if schema["type"] in ("model", "enum", "dataclass", "typed-dict"):
        metadata.pop("pydantic_js_functions", None)  # its own; `_plain_config` finds others
    updates = metadata.pop("pydantic_js_updates", {})
    return bool(metadata) or bool(updates.keys() - {"description"})


def _plain_config(schema: Any) -> bool:
    """Return whether a class has no settings or hooks that change validation or JSON schema."""
    from pydantic import BaseModel

    cls, config = schema["cls"], schema.get("config") or {}
    own = getattr(cls, "__get_pydantic_json_schema__", None)
    return (
        not (config.keys() - _CONFIG)
        and config.get("title", cls.__name__) == cls.__name__
        and config.get("extra_fields_behavior") != "allow"
        and schema.get("extra_behavior") != "allow"
        and not schema.get("custom_init")
        and not schema.get("post_init")
        and getattr(own, "__func__", None)
        in (None, BaseModel.__get_pydantic_json_schema__.__func__)  # type: ignore[attr-defined]
    )


def _simple(schema: Any) -> declarations.TypeName:
    kind = schema["type"]
    if kind == "str":
        pattern = schema.get("pattern")
        if pattern is not None and not isinstance(pattern, str):
            raise _Beyond
        return declarations.TypeName(
            "str", schema.get("min_length"), schema.get("max_length"), pattern
        )
    low, high = schema.get("ge"), schema.get("le")
    if kind == "int" and (low is None or high is None):
        low = schema["gt"] + 1 if low is None and "gt" in schema else low
        high = schema["lt"] - 1 if high is None and "lt" in schema else high
    if not all(end is None or isinstance(end, int | float) for end in (low, high)):
        raise _Beyond
    return declarations.TypeName(kind, low, high)


def _row_choice(name: str, schema: Any) -> declarations.RowChoice:
    several = schema.get("choices", [schema])
    if any(one["type"] not in ("str", "int", "float") or _said(one) for one in several):
        raise NoType(f'one("{name}") stands beside str, int or float, without other constraints')
    return declarations.RowChoice(name)


def _constant(value: Any) -> declarations.Type | None:
    """Return the type of a constant; None for the value None."""
    if value is None:
        return None
    if isinstance(value, Enum) or not isinstance(value, str | int) or not is_literal(value):
        raise _Beyond
    return declarations.Constant(value)


def _choice(options: Sequence[declarations.Type | None]) -> declarations.Type:
    some: list[declarations.Type] = []
    for one in options:
        some += (
            one.options if isinstance(one, declarations.OneOf) else [one] if one is not None else []
        )
    if not some:
        raise _Beyond
    distinct = tuple(dict.fromkeys(some))
    found = distinct[0] if len(distinct) == 1 else declarations.OneOf(distinct)
    return _maybe(found) if None in options else found


def _maybe(node: declarations.Type) -> declarations.Maybe:
    return node if isinstance(node, declarations.Maybe) else declarations.Maybe(node)


def _default(schema: Any) -> declarations.Default:
    if "default_factory" in schema:
        if schema["default_factory"] is not list:
            raise _Beyond
        return declarations.Default(())
    value = schema["default"]
    value = value.value if isinstance(value, Enum) else value
    value = plain(value) if isinstance(value, date | Decimal) else value
    value = tuple(value) if isinstance(value, list) else value
    if not is_literal(value):
        raise _Beyond
    return declarations.Default(value)


def _words(cls: Any) -> str | None:
    """Return the docstring of a class; None if it has none or a generated one."""
    own = cls.__dict__.get("__doc__")
    made = own is None or own.startswith(f"{cls.__name__}(") or own in _MADE
    return None if made else inspect.cleandoc(own)


_MADE = frozenset({"An enumeration.", ""})

"""Nodes of a `.chain` file: declarations, types, definitions. Frozen values, as in `nodes`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from attrs import field, frozen

from chainlang.ir.nodes import Expr, Literal, Node, Table


def _exactly(value: object) -> object:
    """Return a key for equality in which 1, 1.0 and True differ."""
    if isinstance(value, tuple):
        return tuple(_exactly(item) for item in value)
    return type(value), value


# ---------------------------------------------------------------- types


@frozen
class TypeName(Node):
    """``str``, ``int(1..5)``, ``Review``: a named type, with inclusive bounds where it has any."""

    name: str
    low: int | float | None = None
    high: int | float | None = None
    pattern: str | None = None
    """Regular expression that matches somewhere in a string, as in JSON Schema."""


@frozen
class Constant(Node):
    """``"pos"``, ``3``, ``true``: exactly this value.

    A value with a fraction is only in the type of a single row: one of its `RowChoice`.
    """

    value: str | int | float | bool = field(eq=_exactly)


@frozen
class RowChoice(Node):
    """``one("choices")``: one of the values of a list in the row."""

    name: str


@frozen
class ListOf(Node):
    """``list[str]``, ``list[str](1..3)``: a list, with inclusive bounds of its length."""

    item: Type
    low: int | None = None
    high: int | None = None


@frozen
class DictOf(Node):
    """``dict[decimal]``: an object with any names, whose values have this type."""

    item: Type


@frozen
class Maybe(Node):
    """``str?``: a value of the type, or null."""

    item: Type


@frozen
class OneOf(Node):
    """``"pos" | "neg"``: a union of two or more types, flat."""

    options: tuple[Type, ...]


@frozen
class Shape(Node):
    """``{ text: str, score: int }``: an object with these fields."""

    fields: tuple[Field, ...]


@frozen
class Default(Node):
    """``= "en"``: the default of a field. It is a node, since None is a possible default."""

    value: Literal = field(eq=_exactly)


@frozen
class Field(Node):
    """``lang "of the text": str = "en"``; or ``query = "{{ text }}"``, computed from others."""

    name: str
    type: Type | None = None
    default: Default | None = None
    description: str | None = None
    column: str | None = None
    """``"Question Text" as question: str``: its name in rows, if that is another."""


# ---------------------------------------------------------------- items


@frozen
class Use(Node):
    """``use "common.chain"``: the declarations of another file."""

    path: str


@frozen
class Environment(Node):
    """``env("OPENAI_API_KEY")``: the name of an environment variable, never its value."""

    name: str


@frozen
class Setting(Node):
    """``name = value`` in a model or an op."""

    name: str
    value: Literal | Table | Environment


@frozen
class Model(Node):
    """``model small = vllm("Qwen/...", max_model_len=4096)``: a name for a model and its engine."""

    name: str
    engine: str
    source: str
    settings: tuple[Setting, ...] = ()


@frozen
class Input(Node):
    """``input { text: str }``, ``input Review``: the fields of a row.

    ``input exact { text: str }`` refuses a row with other fields.
    """

    type: Shape | TypeName
    exact: bool = False


@frozen
class TypeDef(Node):
    """``type Review { ... }``, ``type Mood = "good" | "bad"``: a type with a name."""

    name: str
    type: Type
    description: str | None = None


@frozen
class PythonType(Node):
    """``type @Review \"\"\"{...}\"\"\"``: a Python class, bound when the chain is loaded.

    `schema` is its JSON schema, as text.
    """

    name: str
    schema: str


@frozen
class Op(Node):
    """``op classify : generate -> Review { ... }``: a type of stage that the user defines."""

    name: str
    kind: str
    returns: Type | None = None
    settings: tuple[Setting, ...] = ()


@frozen
class Definition(Node):
    """``panel = 3:classify``: a part with a name, used as ``$panel``."""

    name: str
    body: Expr


@frozen
class File(Node):
    """The declarations of a `.chain` file, in written order."""

    items: tuple[Item, ...] = ()


Type: TypeAlias = TypeName | Constant | RowChoice | ListOf | DictOf | Maybe | OneOf | Shape
"""The type of a field or of an answer."""
Item: TypeAlias = Use | Model | Input | TypeDef | PythonType | Op | Definition
"""One declaration of a file."""


def is_typed(op: Op) -> bool:
    """Return whether the replies of an op are values of a type, and no free text."""
    return op.returns not in (None, TypeName("str"))


def bodies_of(items: Iterable[Item]) -> dict[str, Expr]:
    """Return the bodies of the definitions among items, by name."""
    return {item.name: item.body for item in items if isinstance(item, Definition)}

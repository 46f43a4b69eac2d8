"""The nodes of a `.chain` file: declarations, types, definitions. Frozen values, as in `nodes`."""

from __future__ import annotations

from attrs import frozen

from chainlang.ir.nodes import Expr, Literal, Node

# ---------------------------------------------------------------- types


@frozen
class Type(Node):
    """The type of a field or of an answer."""


@frozen
class TypeName(Type):
    """``str``, ``int(1..5)``, ``Review``: a named type, with inclusive bounds where it has any."""

    name: str
    low: int | float | None = None
    high: int | float | None = None


@frozen
class Constant(Type):
    """``"pos"``: exactly this text."""

    value: str


@frozen
class ListOf(Type):
    """``list[str]``: any number of them."""

    item: Type


@frozen
class Maybe(Type):
    """``str?``: that, or nothing."""

    item: Type


@frozen
class OneOf(Type):
    """``"pos" | "neg"``: one of several. Two or more, flat."""

    options: tuple[Type, ...]


@frozen
class Shape(Type):
    """``{ text: str, score: int }``: an object with these fields."""

    fields: tuple[Field, ...]


@frozen
class Default(Node):
    """``= "en"``: the value of a field that a row leaves out. A node, since None is a value too."""

    value: Literal


@frozen
class Field(Node):
    """``lang: str = "en"``; or ``query = "{{ text }}"``, without a type and made from others."""

    name: str
    type: Type | None = None
    default: Default | None = None


# ---------------------------------------------------------------- items


@frozen
class Item(Node):
    """One declaration of a file."""


@frozen
class Use(Item):
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
    value: Literal | Environment


@frozen
class Model(Item):
    """``model small = vllm("Qwen/...", max_model_len=4096)``: a name for a model and its engine."""

    name: str
    engine: str
    source: str
    settings: tuple[Setting, ...] = ()


@frozen
class Input(Item):
    """``input { text: str }``: what a row must have."""

    fields: tuple[Field, ...]


@frozen
class TypeDef(Item):
    """``type Review { ... }``: a shape with a name."""

    name: str
    fields: tuple[Field, ...]


@frozen
class Op(Item):
    """``op classify : generate -> Review { ... }``: a type of stage that the user defines."""

    name: str
    kind: str
    returns: Type | None = None
    settings: tuple[Setting, ...] = ()


@frozen
class Definition(Item):
    """``panel = 3:classify``: a part with a name, used as ``$panel``."""

    name: str
    body: Expr


@frozen
class File(Node):
    """The declarations of a `.chain` file, in the order they were written."""

    items: tuple[Item, ...] = ()

"""Printer of nodes: their canonical text, in notation or in the call form, which is also Python."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal as Choice
from typing import assert_never

from chainlang.ir import declarations
from chainlang.ir.auto import AUTO, auto_of
from chainlang.ir.calls import general
from chainlang.ir.nodes import (
    Branch,
    Combinator,
    Combine,
    Expr,
    Function,
    Join,
    Literal,
    Named,
    Option,
    Ref,
    Repeat,
    Stage,
    Table,
    Then,
)
from chainlang.ir.tools import MCP, SERVER, written
from chainlang.ir.verify import is_name
from chainlang.notation.literals import (
    print_block,
    print_literal,
    print_number,
    print_pattern,
    print_string,
)
from chainlang.notation.stages import SIGNED, TEMPERATURE

Form = Choice["notation", "call"]

_PLAIN_FIELD = re.compile(r"[\w./@+~-]+\Z")
OPERATORS = {Then: " >> ", Join: " & ", Branch: " | "}
_PYTHON = ("True", "False", "None")


def unparse(node: Expr, form: Form = "notation") -> str:
    """Return an expression as text: ``parse(unparse(x)).node == x``.

    ``form="notation"`` is the compact spelling. ``form="call"`` is valid both as notation and as
    Python: names, calls with literals, operators and parentheses.

    >>> from chainlang.notation import parse
    >>> node = parse("(fr=2:E:a & es=3*E) >> J:qwen:0.0").node
    >>> print(unparse(node))
    ((fr = 2:E:a) & (es = 3 * E)) >> J:qwen:0
    >>> print(unparse(node, "call"))
    join(fr=E("a", 2), es=3 * E) >> J("qwen", 1, 0)
    """
    return _notation(node) if form == "notation" else _call(node)


# ---------------------------------------------------------------- the notation


def _notation(node: Expr) -> str:
    if isinstance(node, Combinator):
        node = general(node)
    match node:
        case Stage():
            return _stage(node)
        case Then() | Join() | Branch():
            return OPERATORS[type(node)].join(map(operand, node.parts))
        case Repeat(count, body):
            return f"{count} * {operand(body)}"
        case Named(name, body):
            return f"{name} = {_labelled(body)}"
        case Ref(name):
            return f"${name}"
        case Function(name):
            given = _given_to(node, "true")
            return f"@{name}({', '.join(given)})" if given else f"@{name}"
        case Combine(name, parts, options):
            given = [_argument(part) for part in parts] + [_option(option) for option in options]
            return f"{name}({', '.join(given)})"
    assert_never(node)


def operand(node: Expr) -> str:
    """Return an operand, in parentheses if it has an operator or a label of its own.

    Precedence would allow fewer parentheses, but readers do not remember it.
    """
    text = _notation(node)
    return f"({text})" if isinstance(node, Then | Join | Branch | Named) else text


def _given_to(node: Function, true: str) -> list[str]:
    """Return the options of a function as text."""
    of = [] if node.of is None else [f"of={print_literal(node.of)}"]
    return [*of, f"by_name={true}"] if node.by_name else of


def _labelled(node: Expr) -> str:
    return _notation(node) if isinstance(node, Then) else operand(node)


def _argument(node: Expr) -> str:
    """Return an argument of a call, in parentheses if its label would parse as a keyword."""
    return f"({_notation(node)})" if isinstance(node, Named) else _notation(node)


def _stage(node: Stage) -> str:
    text = node.name if node.count == 1 else f"{node.count}:{node.name}"
    if node.model is not None or node.temperature is not None:
        text += ":" + ("" if node.model is None else field(node.model))
    if node.temperature is not None:
        text += ":" + print_number(node.temperature)
    if node.options:
        text += "(" + ", ".join(_option(option) for option in node.options) + ")"
    return text


def field(model: str) -> str:
    """Return a model as a colon field, quoted if necessary.

    >>> field("openai:gpt-4o"), field("foo-v1:0"), field("my model")
    ('openai:gpt-4o', '"foo-v1:0"', '"my model"')
    """
    parts = model.split(":")
    plain = all(_PLAIN_FIELD.match(part) for part in parts)
    if plain and not TEMPERATURE.match(parts[-1]) and not SIGNED.match(parts[-1]):
        return model
    return print_string(model)


def _option(option: Option) -> str:
    return f"{option.name}={_value(option.value)}"


def _value(value: Literal | Expr | Table) -> str:
    if isinstance(value, Expr):
        return _argument(value)
    if isinstance(value, Table):
        entries = (f"{print_string(e.name)}: {_value(e.value)}" for e in value.entries)
        return "{" + ", ".join(entries) + "}"
    return _decided(value) or print_literal(value)


def _decided(value: Literal) -> str | None:
    """Return the call of a value that a model decides; None for any other."""
    if (found := auto_of(value)) is None:
        return None
    given = [print_string(found.words)]
    given += [] if found.type is None else [print_string(found.type)]
    return f"{AUTO}({', '.join(given)})"


# ---------------------------------------------------------------- the call form


def _call(node: Expr) -> str:
    if isinstance(node, Combinator):
        node = general(node)
    match node:
        case Stage():
            return _stage_call(node)
        case Then():
            return " >> ".join(map(_call_operand, node.parts))
        case Join() | Branch():
            if _by_keyword(node):
                form = "join" if isinstance(node, Join) else "branch"
                return f"{form}({', '.join(_keyword(part) for part in node.parts)})"
            return OPERATORS[type(node)].join(map(_call_operand, node.parts))
        case Repeat(count, body):
            return f"{count} * {_call_operand(body)}"
        case Named():
            return f"join({_keyword(node)})"
        case Ref(name):
            return f"ref({print_string(name)})"
        case Function(name):
            return f"function({', '.join([print_string(name), *_given_to(node, 'True')])})"
        case Combine(name, parts, options):
            given = [_call(part) for part in parts]
            given += [f"{option.name}={_call_value(option.value)}" for option in options]
            return f"{name}({', '.join(given)})"
    assert_never(node)


def _call_operand(node: Expr) -> str:
    text = _call(node)
    return f"({text})" if isinstance(node, Then | Join | Branch) and not _by_keyword(node) else text


def _by_keyword(node: Expr) -> bool:
    """Return whether an operator is written as a call: its parts have distinct labels."""
    if not isinstance(node, Join | Branch):
        return False
    names = {part.name for part in node.parts if isinstance(part, Named)}
    return len(names) == len(node.parts)


def _keyword(node: Expr) -> str:
    assert isinstance(node, Named)
    return f"{node.name}={_call(node.body)}"


def _stage_call(node: Stage) -> str:
    given = []
    if node.model is not None:
        given.append(print_string(node.model))
        if node.count != 1 or node.temperature is not None:
            given.append(str(node.count))
        if node.temperature is not None:
            given.append(print_number(node.temperature))
    else:
        if node.count != 1:
            given.append(f"count={node.count}")
        if node.temperature is not None:
            given.append(f"temperature={print_number(node.temperature)}")
    given += [f"{option.name}={_call_value(option.value)}" for option in node.options]
    return f"{node.name}({', '.join(given)})" if given else node.name


def _call_value(value: Literal | Expr | Table) -> str:
    if isinstance(value, Expr):
        return _call(value)
    if isinstance(value, Table):
        entries = (f"{print_string(e.name)}: {_call_value(e.value)}" for e in value.entries)
        return "{" + ", ".join(entries) + "}"
    return _decided(value) or print_literal(value, _PYTHON)


# ---------------------------------------------------------------- files


def unparse_type(node: declarations.Type) -> str:
    """Return a type as text.

    >>> from chainlang.notation import parse_file
    >>> op = parse_file("op a : map -> list[str?] | int(1..5) {}").node.items[0]
    >>> print(unparse_type(op.returns))
    list[str?] | int(1..5)
    """
    match node:
        case declarations.TypeName(name, low, high, pattern):
            return name + _bounds(low, high, pattern)
        case declarations.Constant(value):
            return print_literal(value)
        case declarations.RowChoice(name):
            return f"one({print_literal(name)})"
        case declarations.ListOf(item, low, high):
            return f"list[{unparse_type(item)}]" + _bounds(low, high)
        case declarations.DictOf(item):
            return f"dict[{unparse_type(item)}]"
        case declarations.Maybe(declarations.OneOf() as item):
            return f"({unparse_type(item)})?"
        case declarations.Maybe(item):
            return f"{unparse_type(item)}?"
        case declarations.OneOf(options):
            return " | ".join(map(unparse_type, options))
        case declarations.Shape(fields):
            return braces([unparse_field(one) for one in fields])
    assert_never(node)


def _bounds(low: float | None, high: float | None, pattern: str | None = None) -> str:
    """Return the parentheses after a type with its bounds and pattern; "" if it has none."""
    ends = [f"{_bound(low)}..{_bound(high)}"] if low is not None or high is not None else []
    said = [*ends, *([] if pattern is None else [print_pattern(pattern)])]
    return f"({', '.join(said)})" if said else ""


def _bound(value: float | None) -> str:
    """Return a bound as a number without an exponent, as the grammar requires."""
    if isinstance(value, float):
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else f"{text}.0"
    return "" if value is None else str(value)


def braces(parts: list[str]) -> str:
    """Return ``{ a, b }``, or ``{}``."""
    return "{ " + ", ".join(parts) + " }" if parts else "{}"


def unparse_field(node: declarations.Field) -> str:
    """Return a field of an input or a type as text."""
    column = "" if node.column is None else f"{print_string(node.column)} as "
    text = column + _described(node.name, node.description)
    text = text if node.type is None else f"{text}: {unparse_type(node.type)}"
    return text if node.default is None else f"{text} = {print_literal(node.default.value)}"


def _described(name: str, description: str | None) -> str:
    return name if description is None else f"{name} {print_string(description)}"


def unparse_setting(node: declarations.Setting) -> str:
    """Return a setting as ``name = value``, with multi-line text as a triple-quoted string."""
    value = node.value
    if isinstance(value, declarations.Environment):
        return f"{node.name} = env({print_string(value.name)})"
    if isinstance(value, str) and node.name in ("model", SERVER) and is_name(value):
        return f"{node.name} = {value}"
    if isinstance(value, str) and "\n" in value.strip("\n"):
        return f"{node.name} = {print_block(value)}"
    return f"{node.name} = {print_literal(value)}"


def unparse_input_head(node: declarations.Input) -> str:
    """Return an input up to its type: ``input exact ``."""
    return "input exact " if node.exact else "input "


def unparse_item(node: declarations.Item) -> str:
    """Return one item of a file as text, in its canonical spelling."""
    match node:
        case declarations.Use(path):
            return f"use {print_string(path)}"
        case declarations.Model(name, engine, source, settings):
            given = [print_string(source)]
            given += [unparse_setting(one).replace(" = ", "=", 1) for one in settings]
            head = SERVER if engine == MCP else "model"
            return f"{head} {name} = {engine}({', '.join(given)})"
        case declarations.Input():
            return unparse_input_head(node) + unparse_type(node.type)
        case declarations.TypeDef():
            return unparse_type_head(node) + unparse_type(node.type)
        case declarations.PythonType(name, schema):
            return f"type @{name} {print_block(schema)}"
        case declarations.Op():
            head, settings = unparse_op_head(node), written(node)
            if not settings:
                return f"{head} {{}}"
            lines = "".join(f"  {unparse_setting(one)}\n" for one in settings)
            return f"{head} {{\n{lines}}}"
        case declarations.Definition(name, body):
            return f"{name} = {_argument(body)}"
    assert_never(node)


def unparse_type_head(node: declarations.TypeDef) -> str:
    """Return the beginning of a type declaration, up to its fields or its type."""
    head = f"type {_described(node.name, node.description)} "
    return head if isinstance(node.type, declarations.Shape) else f"{head}= "


def unparse_op_head(node: declarations.Op) -> str:
    """Return the first line of an op declaration, up to the brace."""
    returns = "" if node.returns is None else f" -> {unparse_type(node.returns)}"
    return f"op {node.name} : {node.kind}{returns}"


def unparse_file(node: declarations.File) -> str:
    """Return the text of a file's items, without comments.

    `chainlang.notation.format` keeps the comments and empty lines of a source.
    """
    return "".join(f"{unparse_item(item)}\n" for item in node.items)

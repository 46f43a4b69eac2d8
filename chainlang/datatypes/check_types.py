"""Static checks of types: unknown names, bounds, patterns, and defaults that fit their type."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import assert_never

from chainlang.datatypes.textual import TEXTUAL
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span, part_span
from chainlang.diagnostics.suggest import closest, unknown
from chainlang.ir import declarations
from chainlang.ir.builtins import NAMED_TYPES
from chainlang.ir.nodes import Literal
from chainlang.ir.references import on_cycles
from chainlang.ir.visit import walk
from chainlang.notation.literals import inside, print_literal
from chainlang.notation.unparse import unparse_type

Declared = declarations.TypeDef | declarations.PythonType
_ELSEWHERE = {
    "string": "str", "text": "str", "char": "str", "integer": "int", "long": "int",
    "number": "float", "double": "float", "boolean": "bool", "array": "list[str]",
    "List": "list[str]", "object": "{ name: str }", "map": "dict[str]", "timestamp": "datetime",
    "optional": "str?", "Optional": "str?",
}  # fmt: skip
"""Names of types in other languages, and the type to write instead."""


def type_faults(node: declarations.Type, known: Mapping[str, Declared]) -> Iterator[Diagnostic]:
    """Yield the errors of a type and of every type inside it.

    >>> from chainlang.notation import parse_file
    >>> op = parse_file('op a : map -> list[int(5..1)](..2) | strin {}').node.items[0]
    >>> [one.message for one in type_faults(op.returns, {})]
    ['empty range from 5 to 1', "unknown type 'strin'"]
    """
    for one in walk(node):
        match one:
            case declarations.TypeName():
                yield from _name_faults(one, known)
            case declarations.ListOf(_, low, high):
                yield from _empty_range(low, high, one.span)
            case declarations.OneOf(options):
                yield from _same_twice(options)
            case declarations.Field():
                yield from _field_faults(one, known)
                if one.column is not None:
                    hint = f"leave out {print_literal(one.column)} as"
                    message = "only the fields of an input are columns of rows"
                    yield Diagnostic("type", message, part_span(one.span, "column"), hint)


def input_faults(node: declarations.Input, known: Mapping[str, Declared]) -> Iterator[Diagnostic]:
    """Yield the errors of an input, whose fields may also be computed from others."""
    if isinstance(node.type, declarations.TypeName):
        faults = list(_name_faults(node.type, known))
        yield from faults
        if not faults and not _has_fields(node.type, known):
            hint = "the type of an input has fields, as in type Row { text: str }"
            yield Diagnostic("type", f"'{node.type.name}' has no fields", node.type.span, hint)
        return
    yield from _same_columns(node.type.fields)
    for one in node.type.fields:
        if one.type is not None:
            yield from type_faults(one.type, known)
            yield from _default_faults(one, known)
        elif one.default is None or not isinstance(one.default.value, str):
            hint = 'a field without a type is made from others: query = "{{ text }}"'
            yield Diagnostic("type", f"the field '{one.name}' has no type", one.span, hint)


def _same_columns(fields: Iterable[declarations.Field]) -> Iterator[Diagnostic]:
    """Yield an error for each field that is read from the column of another one."""
    seen: set[str] = set()
    for one in fields:
        name = one.name if one.column is None else one.column
        if name in seen:
            message = f"two fields are read from the column {print_literal(name)}"
            where = part_span(one.span, "name" if one.column is None else "column")
            yield Diagnostic("duplicate-name", message, where)
        seen.add(name)


def _has_fields(node: declarations.TypeName, known: Mapping[str, Declared]) -> bool:
    declared = known.get(node.name)
    if not isinstance(declared, declarations.PythonType):
        return shape_of(node, known) is not None
    if any(True for _ in python_type_faults(declared)):
        return True  # reported by another check
    schema = json.loads(declared.schema)
    return schema.get("type") == "object" or not schema.keys().isdisjoint(_ELSEWHERE_SAID)


_ELSEWHERE_SAID = ("$ref", "allOf", "anyOf", "oneOf")


def python_type_faults(node: declarations.PythonType) -> Iterator[Diagnostic]:
    """Yield the errors of a Python type's JSON schema."""
    where = part_span(node.span, "schema")
    hint = "write what pydantic makes: json.dumps(Review.model_json_schema())"
    try:
        schema = json.loads(node.schema)
    except ValueError as error:
        yield Diagnostic("type", f"invalid schema of '{node.name}': not JSON: {error}", where, hint)
        return
    except RecursionError:
        message = f"invalid schema of '{node.name}': it is nested too deep"
        yield Diagnostic("type", message, where)
        return
    if not isinstance(schema, dict):
        yield Diagnostic("type", f"invalid schema of '{node.name}': not an object", where, hint)


def type_cycles(types: Mapping[str, Declared]) -> Iterator[Diagnostic]:
    """Yield an error for each type that contains itself, since its values would be infinite."""
    inside = {
        name: {one.name for one in walk(item) if isinstance(one, declarations.TypeName)}
        & types.keys()
        for name, item in types.items()
    }
    looping = on_cycles(inside)
    for name, item in types.items():
        if name in looping:
            where = part_span(item.span, "name")
            hint = "a type can contain others, but not itself"
            yield Diagnostic("cycle", f"the type '{name}' contains itself", where, hint)


# ---------------------------------------------------------------- names, bounds, patterns


def _name_faults(
    node: declarations.TypeName, known: Mapping[str, Declared]
) -> Iterator[Diagnostic]:
    name, span = node.name, node.span
    bounded = node.low is not None or node.high is not None
    if name not in NAMED_TYPES and name not in known:
        hint = {
            "list": "write the type of its items: list[str]",
            "dict": "write the type of its values: dict[str]",
        }.get(name)
        near = closest(name, [*NAMED_TYPES, *_ELSEWHERE])
        if near in _ELSEWHERE:
            hint = f"write {_ELSEWHERE[near]}"
        yield unknown("type", name, [*NAMED_TYPES, *known], span, code="type", hint=hint)
        return
    if bounded and name not in ("int", "float", "str"):
        yield Diagnostic("type", f"'{name}' takes no bounds", span)
    elif bounded:
        yield from _empty_range(node.low, node.high, span)
        ends = [end for end in (node.low, node.high) if end is not None]
        if name != "float" and any(isinstance(end, float) for end in ends):
            yield Diagnostic("type", f"the bounds of '{name}' are whole numbers", span)
        elif name == "str" and any(end < 0 for end in ends):
            yield Diagnostic("type", "the bounds of 'str' are lengths, so at least 0", span)
    if node.pattern is not None and name != "str":
        hint = 'a pattern is for texts: str(r"...")'
        yield Diagnostic("type", f"'{name}' takes no pattern", span, hint)
    elif node.pattern is not None:
        yield from _pattern_faults(node.pattern, part_span(span, "pattern"))


def _empty_range(low: float | None, high: float | None, span: Span | None) -> Iterator[Diagnostic]:
    if low is not None and high is not None and low > high:
        message = f"empty range from {low:g} to {high:g}"
        yield Diagnostic("type", message, span, f"write {high:g}..{low:g}")


def _same_twice(options: tuple[declarations.Type, ...]) -> Iterator[Diagnostic]:
    seen: set[declarations.Type] = set()
    for one in options:
        if one in seen:
            shown = unparse_type(one)
            yield Diagnostic("type", f"duplicate {shown} in a choice", one.span)
        seen.add(one)


def _pattern_faults(pattern: str, where: Span | None) -> Iterator[Diagnostic]:
    """Yield the error of a regular expression, as reported by the engine that will match it.

    That is pydantic's engine, whose time is linear in the text, so no pattern can hang a run.
    """
    from pydantic_core import SchemaError, SchemaValidator

    try:
        SchemaValidator({"type": "str", "pattern": pattern})
    except SchemaError as error:
        text = str(error)
        lines = text.splitlines()
        reason = lines[-1].removeprefix("error: ").strip()
        if "exceeds size limit" in text:
            reason = "it is too large: repetitions multiply"
        carets = next((line for line in lines if set(line.strip()) == {"^"}), None)
        if where is not None and carets is not None and "\n" not in pattern:
            start = carets.index("^") - 4  # the engine indents the pattern by four
            where = inside(where, start, start + carets.count("^"))
        yield Diagnostic("type", f"invalid pattern: {reason}", where)


# ---------------------------------------------------------------- fields


def _field_faults(node: declarations.Field, known: Mapping[str, Declared]) -> Iterator[Diagnostic]:
    if node.type is None:
        hint = f"write {node.name}: str; only the fields of an input are made from others"
        yield Diagnostic("type", f"the field '{node.name}' has no type", node.span, hint)
    else:
        yield from _default_faults(node, known)


def _default_faults(
    node: declarations.Field, known: Mapping[str, Declared]
) -> Iterator[Diagnostic]:
    if node.type is None or node.default is None:
        return
    if any(True for _ in type_faults(node.type, known)):
        return  # reported by another check
    value = node.default.value
    if not fits(value, node.type, known):
        shown = unparse_type(node.type)
        message = (
            f"invalid default of '{node.name}': expected {shown}, found {print_literal(value)}"
        )
        hint = f"write {shown}? for what may be null" if value is None else None
        yield Diagnostic("type", message, node.default.span, hint)


def fits(value: Literal, node: declarations.Type, known: Mapping[str, Declared]) -> bool:
    """Return whether a literal is a value of a type; True for any value of a Python type.

    >>> numbers = declarations.ListOf(declarations.TypeName("int", 1, 5))
    >>> fits((1, 3), numbers, {}), fits((1, 9), numbers, {})
    (True, False)
    """
    match node:
        case declarations.Maybe(item):
            return value is None or fits(value, item, known)
        case declarations.OneOf(options):
            return any(fits(value, one, known) for one in options)
        case declarations.Constant(constant):
            return type(value) is type(constant) and value == constant
        case declarations.ListOf(item, low, high):
            return (
                isinstance(value, tuple)
                and _between(len(value), low, high)
                and all(fits(one, item, known) for one in value)
            )
        case declarations.TypeName(name) if name in TEXTUAL:
            return isinstance(value, str) and TEXTUAL[name].is_valid(value)
        case declarations.TypeName(name, low, high, pattern) if name in NAMED_TYPES:
            return _KINDS[name](value) and _in_bounds(value, low, high, pattern)
        case declarations.TypeName(name):
            # Without this name, so that a type which contains itself (an error) ends the recursion.
            declared = known.get(name)
            others = {other: one for other, one in known.items() if other != name}
            return not isinstance(declared, declarations.TypeDef) or fits(
                value, declared.type, others
            )
        case declarations.RowChoice():  # no literal is one of the values of every row
            return False
        case declarations.Shape() | declarations.DictOf():  # no literal is an object
            return False
    assert_never(node)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_KINDS: Mapping[str, Callable[[object], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": _number,
    "bool": lambda value: isinstance(value, bool),
}


def _in_bounds(value: Literal, low: float | None, high: float | None, pattern: str | None) -> bool:
    if isinstance(value, str):
        return _between(len(value), low, high) and (pattern is None or _matches(pattern, value))
    return not isinstance(value, int | float) or _between(value, low, high)


def _between(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or low <= value) and (high is None or value <= high)


def _matches(pattern: str, text: str) -> bool:
    from pydantic_core import SchemaValidator

    return bool(SchemaValidator({"type": "str", "pattern": pattern}).isinstance_python(text))


def shape_of(node: declarations.Type, known: Mapping[str, Declared]) -> declarations.Shape | None:
    """Return the fields of an object type, resolving names; None for other types."""
    seen: set[str] = set()
    while isinstance(node, declarations.TypeName) and node.name not in seen:
        seen.add(node.name)
        declared = known.get(node.name)
        if not isinstance(declared, declarations.TypeDef):
            return None
        node = declared.type
    return node if isinstance(node, declarations.Shape) else None


def declared_types(found: Iterable[declarations.Item]) -> dict[str, Declared]:
    """Return the types declared by items, by name."""
    return {one.name: one for one in found if isinstance(one, Declared)}

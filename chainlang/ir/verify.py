"""Validation of nodes: the allowed values of each field.

All nodes built from notation or by the Python API are valid; an invalid one is a bug of the code
that built it. Nodes from JSON are validated, so that they are safe to walk, print and compare.
"""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeGuard

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.ir import declarations, nodes
from chainlang.ir.nodes import Expr, Node, Option, Table
from chainlang.ir.row_settings import names_template
from chainlang.ir.visit import children, field_names
from chainlang.limits import LARGEST

FORMS = ("branch", "function", "join", "ref")
"""Calls that are another spelling of an operator or a reference, such as ``join(fr=a, es=b)`` of
``(fr = a & es = b)``."""
STAGE_FIELDS = ("count", "model", "temperature")
"""Fields of a stage, so not names of its options."""
_VALUES = ("true", "false", "null")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

Check = Callable[[Any], bool]


def is_name(value: object) -> bool:
    """Return whether a value is a valid name of a type, a part or a definition.

    A name consists of ASCII letters, digits and ``_`` and does not start with a digit. Keywords of
    Python are not names, because the Python API uses names as identifiers; nor are ``true``,
    ``false`` and ``null``.

    >>> [is_name(name) for name in ("fr", "fr2", "2fr", "class", "él", "")]
    [True, True, False, False, False, False]
    """
    return _is_word(value) and not keyword.iskeyword(value) and value not in _VALUES


def _is_word(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(_NAME.match(value))


def is_literal(value: object) -> bool:
    """Return whether a value is a literal: str, finite number, bool, None, or a flat tuple."""
    if isinstance(value, tuple):
        return all(is_literal(item) and not isinstance(item, tuple) for item in value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) < LARGEST
    return value is None or isinstance(value, str)


def is_count(value: object) -> bool:
    """Return whether a value is a whole number of at least 1."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < LARGEST


def _is_number(value: object) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) < LARGEST
    return isinstance(value, float) and math.isfinite(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and abs(value) < LARGEST


def _is_length(value: object) -> bool:
    return _is_whole(value) and not isinstance(value, bool) and value >= 0  # type: ignore[operator]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_named_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_judge(value: object) -> bool:
    return isinstance(value, nodes.Function) or _is_named_text(value)


def _are_names(value: object) -> bool:
    if not isinstance(value, tuple):
        return is_name(value)
    return len(set(value)) == len(value) > 1 and all(map(is_name, value))


def _a(*kinds: Any) -> Check:
    return lambda value: isinstance(value, kinds)


def _optional(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _many(*kinds: Any, least: int = 0) -> Check:
    return lambda value: (
        isinstance(value, tuple)
        and len(value) >= least
        and all(isinstance(item, kinds) for item in value)
    )


def _operands(own: type) -> Check:
    several = _many(Expr, least=2)
    return lambda value: several(value) and not any(isinstance(item, own) for item in value)


def _options(value: object) -> bool:
    if not _many(Option)(value):
        return False
    names = [option.name for option in value]  # type: ignore[attr-defined]  # just checked
    # `as`, a keyword of Python, is allowed here: notation may have it as an alias of `item`.
    return all(map(_is_word, names)) and names == sorted(set(names))


def _are_fields(value: object) -> bool:
    return (
        _options(value)
        and bool(value)
        and all(
            is_name(one.name) and _is_text(one.value)
            for one in value  # type: ignore[attr-defined]  # just checked
        )
    )


def _are_causes(value: object) -> bool:
    return _is_text(value) or _many(str, least=1)(value)


def _plain_options(value: object) -> bool:
    return _options(value) and all(
        (is_value(option.value) or isinstance(option.value, nodes.Function))
        and (option.name not in STAGE_FIELDS or names_template(option.name, option.value))
        for option in value  # type: ignore[attr-defined]  # just checked
    )


def _entries(value: object) -> bool:
    return _many(Option, least=1)(value) and all(
        isinstance(entry.name, str) and (isinstance(entry.value, Expr) or is_value(entry.value))
        for entry in value  # type: ignore[attr-defined]  # just checked
    )


def is_value(value: object) -> bool:
    """Return whether a value is a literal, or a table of values with distinct keys."""
    if not isinstance(value, Table):
        return is_literal(value)
    names = {entry.name for entry in value.entries}
    return len(names) == len(value.entries) > 0 and all(
        is_value(one.value) for one in value.entries
    )


def _is_model(value: object) -> bool:
    """Return whether a value is the name of a model; one that a template gives is an option."""
    return _is_named_text(value) and not names_template("model", value)


def _is_temperature(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value) and value >= 0


_OPTION_VALUE: Check = lambda value: isinstance(value, Expr | Table) or is_literal(value)  # noqa: E731

# Check of each field of each kind of node. This table is the specification.
SPECIFICATION: dict[type[Node], dict[str, Check]] = {
    nodes.Stage: {
        "name": is_name,
        "count": is_count,
        "model": _optional(_is_model),
        "temperature": _optional(_is_temperature),
        "options": _plain_options,
    },
    nodes.Then: {"parts": _operands(nodes.Then)},
    nodes.Join: {"parts": _operands(nodes.Join)},
    nodes.Branch: {"parts": _operands(nodes.Branch)},
    nodes.Repeat: {
        "count": lambda value: is_count(value) and value >= 2,
        "body": lambda value: isinstance(value, Expr) and not isinstance(value, nodes.Repeat),
    },
    nodes.Named: {"name": is_name, "body": _a(Expr)},
    nodes.Ref: {"name": is_name},
    nodes.Function: {
        "name": is_name,
        "of": _optional(_are_names),
        "by_name": lambda value: isinstance(value, bool),
    },
    nodes.Fallback: {"parts": _many(Expr, least=2), "on": _optional(_are_causes)},
    nodes.Cascade: {"parts": _many(Expr, least=2), "accept": _is_judge},
    nodes.Retry: {
        "body": _a(Expr),
        "backoff": _optional(_is_number),
        "on": _optional(_are_causes),
        "times": _optional(is_count),
    },
    nodes.Timeout: {"body": _a(Expr), "seconds": _is_number},
    nodes.Route: {
        "arms": _many(nodes.Arm, least=1), "by": _is_judge, "default": _optional(_a(Expr)),
    },
    nodes.Arm: {"key": _is_text, "body": _a(Expr)},
    nodes.Loop: {"body": _a(Expr), "max": _optional(is_count), "until": _is_judge},
    nodes.Each: {"body": _a(Expr), "item": _optional(is_name), "over": _is_named_text},
    nodes.WithFields: {"body": _a(Expr), "fields": _are_fields},
    nodes.Combine: {
        "name": lambda value: is_name(value) and value not in FORMS,
        "parts": _many(Expr),
        "options": _options,
    },
    nodes.Option: {"name": _is_text, "value": _OPTION_VALUE},
    nodes.Table: {"entries": _entries},
    declarations.TypeName: {
        "name": is_name,
        "low": _optional(_is_number),
        "high": _optional(_is_number),
        "pattern": _optional(_is_text),
    },
    declarations.Constant: {"value": lambda value: isinstance(value, str) or _is_whole(value)},
    declarations.RowChoice: {"name": is_name},
    declarations.ListOf: {
        "item": _a(declarations.Type), "low": _optional(_is_length), "high": _optional(_is_length),
    },
    declarations.DictOf: {"item": _a(declarations.Type)},
    declarations.Maybe: {"item": lambda value: (
        isinstance(value, declarations.Type) and not isinstance(value, declarations.Maybe)
    )},
    declarations.OneOf: {"options": lambda value: (
        _many(declarations.Type, least=2)(value)
        and not any(isinstance(option, declarations.OneOf) for option in value)
    )},
    declarations.Shape: {"fields": _many(declarations.Field)},
    declarations.Default: {"value": is_literal},
    declarations.Field: {
        "name": is_name,
        "type": _optional(_a(declarations.Type)),
        "default": _optional(_a(declarations.Default)),
        "description": _optional(_is_text),
        "column": _optional(_is_named_text),
    },
    declarations.Use: {"path": _is_named_text},
    declarations.Environment: {"name": _is_named_text},
    declarations.Setting: {
        "name": is_name,
        "value": lambda value: isinstance(value, declarations.Environment) or is_value(value),
    },
    declarations.Model: {
        "name": is_name,
        "engine": is_name,
        "source": _is_text,
        "settings": _many(declarations.Setting),
    },
    declarations.Input: {"type": lambda value: (
        isinstance(value, declarations.Shape)
        or value == declarations.TypeName(getattr(value, "name", ""))
    ), "exact": lambda value: isinstance(value, bool)},
    declarations.TypeDef: {
        "name": is_name, "type": _a(declarations.Type), "description": _optional(_is_text),
    },
    declarations.PythonType: {"name": is_name, "schema": _is_text},
    declarations.Op: {
        "name": is_name,
        "kind": is_name,
        "returns": _optional(_a(declarations.Type)),
        "settings": _many(declarations.Setting),
    },
    declarations.Definition: {"name": is_name, "body": _a(Expr)},
    declarations.File: {"items": _many(declarations.Item)},
}  # fmt: skip


def faults(root: Node) -> Iterable[Diagnostic]:
    """Yield a diagnostic for each invalid field, outermost node first."""
    pending: list[Node] = [root]
    while pending:
        node = pending.pop()
        specification = SPECIFICATION.get(type(node))
        if specification is None:
            yield Diagnostic("malformed", f"{type(node).__name__} is not a node of the language")
            continue
        for name in field_names(type(node)):
            value = getattr(node, name)
            if not specification[name](value):
                yield Diagnostic(
                    "malformed",
                    f"{type(node).__name__}.{name} can't be {shown(value, 80)}",
                    node.span,
                )
        pending.extend(reversed(children(node)))

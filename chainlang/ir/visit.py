"""Generic traversal and rebuilding of nodes, by the fields of their classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import UnionType
from typing import Any, TypeVar, cast, get_args

import attrs

from chainlang.ir import declarations, nodes
from chainlang.ir.declarations import Type
from chainlang.ir.nodes import Arm, Expr, Node, Option, Table

_Some = TypeVar("_Some", bound=Node)


def field_names(kind: type[Node]) -> tuple[str, ...]:
    """Return the names of a node's fields, without the span."""
    found = _FIELD_NAMES.get(kind)
    if found is None:
        names = (attribute.name for attribute in attrs.fields(kind) if attribute.name != "span")
        found = _FIELD_NAMES[kind] = tuple(names)
    return found


_FIELD_NAMES: dict[type[Node], tuple[str, ...]] = {}


def _holders(kind: type[Node]) -> tuple[str, ...]:
    """Return the names of the fields that may hold nodes, as their types say."""
    found = _HOLDERS.get(kind)
    if found is None:
        names = (
            attribute.name
            for attribute in attrs.fields(kind)
            if not _NODES.isdisjoint(re.findall(r"\w+", str(attribute.type)))
        )
        found = _HOLDERS[kind] = tuple(names)
    return found


_HOLDERS: dict[type[Node], tuple[str, ...]] = {}


def _is_node_type(value: object) -> bool:
    if isinstance(value, UnionType):
        return any(map(_is_node_type, get_args(value)))
    return isinstance(value, type) and issubclass(value, Node)


_NODES = frozenset(
    name
    for module in (nodes, declarations)
    for name, value in vars(module).items()
    if _is_node_type(value)
)
"""The names of the classes of nodes, and of their unions."""


def children(node: Node) -> list[Node]:
    """Return the nodes directly below a node, in written order.

    >>> from chainlang import E, M
    >>> [child.name for child in children((E >> M).body)]
    ['E', 'M']
    """
    found: list[Node] = []
    for name in _holders(type(node)):
        value = getattr(node, name)
        if isinstance(value, Node):
            found.append(value)
        elif isinstance(value, tuple):
            for item in value:
                if isinstance(item, Node):
                    found.append(item)  # noqa: PERF401  # a list for each field costs more
    return found


WRAPPERS = Arm | Option | Table
"""Nodes that hold parts of another node, but are not parts."""
_COUNTED = Expr | Type  # names of their own: written in place, each union is made at each call
_LEVELS = Expr | Type | Arm | Table
_PARTS: tuple[type[Expr], ...] = get_args(Expr)
_WRAPPERS: tuple[type[Arm | Option | Table], ...] = get_args(WRAPPERS)
"""Tuples of classes, which `isinstance` goes through faster than unions."""


def parts_of(node: Node) -> list[Expr]:
    """Return the expressions directly inside a node, through its options, arms and tables.

    >>> from chainlang import E, J, route
    >>> [part.name for part in parts_of(route(by="topic", arms={"a": E}, default=J).body)]
    ['E', 'J']
    """
    found: list[Expr] = []
    for name in _holders(type(node)):
        value = getattr(node, name)
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, _WRAPPERS):
                found += parts_of(child)
            elif isinstance(child, _PARTS):
                found.append(child)
    return found


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all nodes below it, parents first; iterative, so any depth is safe."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        pending.extend(reversed(children(node)))


def rebuild(node: _Some, replace: Callable[[Node], Node]) -> _Some:
    """Return a node with each child replaced; the same object if no child changed."""
    changes: dict[str, Any] = {}
    for name in _holders(type(node)):
        value = getattr(node, name)
        new: object = value
        if isinstance(value, Node):
            new = replace(value)
        elif isinstance(value, tuple):
            items: list[object] | None = None
            for index, item in enumerate(value):  # a loop needs half the stack
                after = replace(item) if isinstance(item, Node) else item
                if after is not item:
                    items = list(value) if items is None else items
                    items[index] = after
            new = value if items is None else tuple(items)
        if new is not value:
            changes[name] = new
    return attrs.evolve(node, **changes) if changes else node


def transform(node: _Some, change: Callable[[Node], Node]) -> _Some:
    """Return a node with `change` applied to it and to all nodes below it, children first.

    If `change` returns its argument for every node, the result is the same object.

    >>> from attrs import evolve
    >>> from chainlang import E, J
    >>> from chainlang.ir.nodes import Stage
    >>> def double(node):
    ...     return evolve(node, count=2 * node.count) if isinstance(node, Stage) else node
    >>> [stage.count for stage in transform((E("m", 3) >> J).body, double).parts]
    [6, 2]
    """
    return cast("_Some", change(rebuild(node, lambda child: transform(child, change))))


def measure(node: Node) -> tuple[int, int]:
    """Return the number of nodes of an expression, and their depth; (1, 1) for a single stage.

    Options, arms and tables are not counted. Types in a file are counted like expressions.
    """
    size = depth = 0
    pending = [(node, 1)]
    while pending:
        node, level = pending.pop()
        counted = isinstance(node, _COUNTED)
        size += counted
        depth = max(depth, level) if counted else depth
        inside = level + 1 if isinstance(node, _LEVELS) else level
        pending.extend((child, inside) for child in children(node))
    return size, depth

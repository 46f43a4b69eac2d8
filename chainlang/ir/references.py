"""References between items: the names that an expression or an item uses, and cycles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from chainlang.ir import declarations
from chainlang.ir.declarations import Item
from chainlang.ir.model_settings import FALLBACKS
from chainlang.ir.nodes import Arm, Expr, Node, Option, Ref, Stage, Table
from chainlang.ir.row_settings import MODELS, is_template
from chainlang.ir.visit import children, walk

_LEVELS = Expr | Arm | Table
_LISTS = {FALLBACKS: "model", MODELS: "model", "tools": "op"}
"""Settings and options that are names, each with the kind of what they name."""


def on_cycles(graph: Mapping[str, set[str]]) -> set[str]:
    """Return the names on cycles of a graph, by Tarjan's algorithm (linear, iterative)."""
    found: set[str] = set()
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: dict[str, None] = {}
    for start in graph:
        trail = [(start, iter(graph[start]))] if start not in order else []
        while trail:
            name, following = trail[-1]
            if name not in order:
                order[name] = lowest[name] = len(order)
                path[name] = None
            for other in following:
                if other not in order:
                    trail.append((other, iter(graph[other])))
                    break
                if other in path:
                    lowest[name] = min(lowest[name], order[other])
            else:
                trail.pop()
                if trail:
                    lowest[trail[-1][0]] = min(lowest[trail[-1][0]], lowest[name])
                if lowest[name] == order[name]:
                    together = set()
                    while name not in together:
                        together.add(path.popitem()[0])
                    if len(together) > 1 or name in graph[name]:
                        found |= together
    return found


def references(node: Expr) -> Iterable[Ref]:
    """Return every ``$name`` in an expression."""
    return (one for one in walk(node) if isinstance(one, Ref))


def ref_levels(node: Expr) -> Iterator[tuple[str, int]]:
    """Yield the name of each ``$name`` in an expression, with its depth."""
    pending: list[tuple[Node, int]] = [(node, 1)]
    while pending:
        one, level = pending.pop()
        if isinstance(one, Ref):
            yield one.name, level
        inside = level + 1 if isinstance(one, _LEVELS) else level
        pending += ((child, inside) for child in children(one))


def uses(item: Item) -> list[tuple[str, str]]:
    """Return the names that an item uses, as (kind, name), whether or not they are defined."""
    found: list[tuple[str, str]] = []
    pending: list[Node] = [item]
    while pending:
        node = pending.pop()
        match node:
            case Stage(name, _, model):
                found += [("op", name), ("model", model or "")]
            case Ref(name):
                found.append(("definition", name))
            case declarations.TypeName(name):
                found.append(("type", name))
            case declarations.Setting("model" | "server", str(name)) if not is_template(name):
                found.append(("model", name))
            case Option(name, value) | declarations.Setting(name, value) if name in _LISTS:
                several = value if isinstance(value, tuple) else (value,)
                found += [(_LISTS[name], str(one)) for one in several]
            case _:
                pass
        pending += children(node)
    return found

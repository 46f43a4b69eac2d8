"""Scopes of named parts: those in the body of an `each` are readable inside the same item only."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from chainlang.ir.nodes import Each, Expr, Named, Ref, Stage
from chainlang.ir.visit import parts_of


def only_in_each(
    chains: Iterable[Expr], bodies: Mapping[str, Expr], own: Collection[str]
) -> frozenset[str]:
    """Return the names of the parts that stand in the body of an `each`, and nowhere else.

    `bodies`: definitions that references stand for. `own`: the ops that name their own part.

    >>> from chainlang.notation import parse
    >>> node = parse('(x = E) >> each((y = E) >> tell, over="x.candidates")').node
    >>> sorted(only_in_each([node], {}, {"tell"}))
    ['tell', 'y']
    """
    found: dict[bool, set[str]] = {False: set(), True: set()}
    seen: set[tuple[str, bool]] = set()
    pending = [(one, False) for one in chains]
    while pending:
        node, inside = pending.pop()
        match node:
            case Named(name):
                found[inside].add(name)
            case Stage(name) if name in own:
                found[inside].add(name)
            case Ref(name) if name in bodies and (name, inside) not in seen:
                seen.add((name, inside))
                pending.append((bodies[name], inside))
            case _:
                pass
        inside = inside or isinstance(node, Each)
        pending += ((part, inside) for part in parts_of(node))
    return frozenset(found[True] - found[False])

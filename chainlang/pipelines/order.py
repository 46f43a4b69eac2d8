"""Order of steps: cycles among them, and the parts of a chain that run one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from chainlang.ir import build
from chainlang.ir.nodes import Expr

Edges = Mapping[str, Iterable[str]]
"""For each step, the steps that it waits for."""


def cycles(edges: Edges) -> list[tuple[str, ...]]:
    """Return the groups of steps that wait for each other, each in an order of waiting.

    >>> cycles({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["d"]})
    [('b', 'c'), ('d',)]
    """
    found = []
    for group in _components(edges):
        if len(group) > 1:
            found.append(_circle(group, edges))
        elif group[0] in edges[group[0]]:
            found.append((group[0],))
    return found


def _components(edges: Edges) -> list[tuple[str, ...]]:
    """Return the strongly connected components, after Tarjan, without recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[tuple[str, ...]] = []
    for root in edges:
        work = [] if root in index else [(root, iter(tuple(edges[root])))]
        while work:
            node, rest = work[-1]
            if node not in index:
                index[node] = low[node] = len(index)
                stack.append(node)
            after = next(rest, None)
            if after is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    found.append(tuple(sorted(stack[at:], key=list(edges).index)))
                    for one in stack[at:]:
                        low[one] = len(edges) + 1
                    del stack[at:]
            elif after not in index:
                work.append((after, iter(tuple(edges[after]))))
            elif after in stack:
                low[node] = min(low[node], index[after])
    return sorted(found, key=lambda one: list(edges).index(one[0]))


def _circle(group: Sequence[str], edges: Edges) -> tuple[str, ...]:
    """Return a circle inside a component, from its first step."""
    inside = set(group)
    way, seen = [group[0]], {group[0]}
    while True:
        after = next(one for one in edges[way[-1]] if one in inside)
        fresh = [one for one in edges[way[-1]] if one in inside and one not in seen]
        after = fresh[0] if fresh else after
        if after in seen:
            return tuple(way[way.index(after) :])
        way.append(after)
        seen.add(after)


def arranged(steps: Sequence[str], edges: Edges, part: Callable[[str], Expr]) -> Expr:
    """Return the chain of steps: those that do not wait for each other stand side by side.

    `edges` has no cycle; only waits among `steps` matter. A sequence is as short as it can be, so
    that a function, which waits for all that stands before it, waits for little else.
    """
    inside = set(steps)
    waits = {one: [it for it in edges[one] if it in inside] for one in steps}
    before: list[Expr] = []
    after: list[Expr] = []
    rest = list(steps)
    while rest:
        groups = _connected(rest, waits)
        if len(groups) > 1:
            before.append(build.join(*(arranged(group, edges, part) for group in groups)))
            break
        left = set(rest)
        first = [one for one in rest if left.isdisjoint(waits[one])]
        if len(first) == 1:
            before.append(part(first[0]))
            rest.remove(first[0])
            continue
        awaited = {it for one in rest for it in waits[one]}
        after.append(build.join(*(part(one) for one in rest if one not in awaited)))
        rest = [one for one in rest if one in awaited]
    return build.then(*before, *reversed(after))


def _connected(steps: Sequence[str], waits: Edges) -> list[list[str]]:
    """Return the steps in groups without a wait between them, in the order of the file."""
    group = {one: one for one in steps}

    def root(one: str) -> str:
        while group[one] != one:
            group[one] = group[group[one]]
            one = group[one]
        return one

    for one in steps:
        for other in waits[one]:
            if other in group:
                group[root(one)] = root(other)
    found: dict[str, list[str]] = {}
    for one in steps:
        found.setdefault(root(one), []).append(one)
    return list(found.values())

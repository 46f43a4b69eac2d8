"""Pictures of chains among LangChain's: the stages of a chain as nodes of one of its graphs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from attrs import define, field
from langchain_core.runnables.graph import Graph, Node
from pydantic import BaseModel

from chainlang.ir.calls import general
from chainlang.ir.nodes import Branch, Combinator, Expr, Join, Named, Repeat, Then
from chainlang.ir.render import label
from chainlang.ir.visit import parts_of
from chainlang.ir.wiring import parts_read


@define
class _Drawing:
    graph: Graph = field(factory=Graph)
    named: dict[str, list[Node]] = field(factory=dict)
    """The nodes at the end of each named part."""

    def after(self, node: Expr, before: list[Node]) -> list[Node]:
        """Add the stages of a part behind nodes, and return its own last ones."""
        match node:
            case Then(parts):
                for part in parts:
                    before = self.after(part, before)
                return before
            case Join(parts) | Branch(parts):
                return self.beside(parts, before)
            case Named(name, body):
                self.named[name] = self.after(body, before)
                return self.named[name]
            case Repeat(body=body):
                return self.after(body, before)
        if isinstance(node, Combinator) and (inside := parts_of(node)):
            return self.beside(inside, before)
        shown = label(general(node) if isinstance(node, Combinator) else node)
        of = [one for name in parts_read(node) for one in self.named.get(name, ())]
        made = self.node(shown)
        for one in of or before:
            self.graph.add_edge(one, made)
        return [made]

    def beside(self, parts: Iterable[Expr], before: list[Node]) -> list[Node]:
        return [end for part in parts for end in self.after(part, before)]

    def node(self, shown: str) -> Node:
        """Add a node whose name is new."""
        name, number = shown, 1
        while name in self.graph.nodes:
            number += 1
            name = f"{shown} ({number})"
        self.graph.nodes[name] = Node(name, shown, None, None)
        return self.graph.nodes[name]


def drawn(
    body: Expr, given: type[BaseModel], returned: type[BaseModel], metadata: dict[str, Any] | None
) -> Graph:
    """Return a chain as a graph between its input and its output, with a node for each stage."""
    drawing = _Drawing()
    first = drawing.graph.add_node(given, metadata=metadata)
    ends = drawing.after(body, [first])
    last = drawing.graph.add_node(returned)
    for end in ends:
        drawing.graph.add_edge(end, last)
    return drawing.graph

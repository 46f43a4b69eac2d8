"""`XCSGraph`: operators as nodes, and edges along which their outputs flow."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from attrs import define, field

from chainlang.compat.ember.carry import merged
from chainlang.compat.ember.exceptions import InvalidArgumentError
from chainlang.compat.ember.structures import fields_of
from chainlang.diagnostics.suggest import misspelt

__all__ = ["XCSEdge", "XCSGraph", "XCSGraphNode", "XCSNode", "merge_xcs_graphs"]


@define
class XCSEdge:
    """An edge; `field_mappings` say which field of the output becomes which of the inputs.

    Without mappings all fields of the output are inputs.
    """

    from_node: str
    to_node: str
    field_mappings: dict[str, str] = field(factory=dict)

    def add_field_mapping(self, output_field: str, input_field: str) -> None:
        """Let a field of the output become a field of the inputs."""
        self.field_mappings[output_field] = input_field


@define(eq=False)
class XCSNode:
    """An operator, or a function with a keyword `inputs`, in a graph."""

    operator: Any
    node_id: str
    inbound_edges: list[str] = field(factory=list)
    outbound_edges: list[str] = field(factory=list)
    name: str | None = None
    metadata: dict[str, Any] = field(factory=dict)


XCSGraphNode = XCSNode


@define(eq=False, repr=False)
class XCSGraph:
    """A graph of operators, which `execute_graph` runs.

    >>> graph = XCSGraph()
    >>> first = graph.add_node(lambda *, inputs: {"value": inputs["value"] + 10}, "add")
    >>> second = graph.add_node(lambda *, inputs: {"value": inputs["value"] * 2}, "double")
    >>> edge = graph.add_edge(first, second)
    >>> graph.topological_sort()
    ['add', 'double']
    """

    nodes: dict[str, XCSNode] = field(factory=dict)
    edges: dict[str, XCSEdge] = field(factory=dict)
    metadata: dict[str, Any] = field(factory=dict)

    def add_node(
        self,
        operator: Any,
        node_id: str | None = None,
        name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        node_key: str | None = None,
    ) -> str:
        """Add a node and return its id, a random one by default.

        Raises `InvalidArgumentError`, a `ValueError`, for an id that the graph has.
        """
        made = node_id if node_id is not None else str(uuid.uuid4())
        if made in self.nodes:
            raise InvalidArgumentError(f"the graph has a node '{made}' already")
        if not callable(operator):
            raise InvalidArgumentError(f"node '{made}' can't be called: {operator!r}")
        kept = dict(metadata or {})
        self.nodes[made] = XCSNode(operator, made, name=node_key or name, metadata=kept)
        return made

    def add_edge(
        self, from_id: str, to_id: str, field_mappings: Mapping[str, str] | None = None
    ) -> XCSEdge:
        """Add an edge, or mappings to one that is there. Raises for an unknown id."""
        for one in (from_id, to_id):
            self._known(one)
        key = f"{from_id}_{to_id}"
        edge = next((one for one in self._into(to_id) if one.from_node == from_id), None)
        if edge is None:
            edge = self.edges[key] = XCSEdge(from_id, to_id)
            self.nodes[from_id].outbound_edges.append(to_id)
            self.nodes[to_id].inbound_edges.append(from_id)
        edge.field_mappings |= field_mappings or {}
        return edge

    def _known(self, node_id: str) -> None:
        if node_id not in self.nodes:
            near = misspelt(node_id, sorted(self.nodes))
            known = ", ".join(self.nodes) or "none"
            raise InvalidArgumentError(
                f"the graph has no node '{node_id}'",
                recovery_hint=f"did you mean '{near}'?" if near else f"it has: {known}",
            )

    def _into(self, node_id: str) -> list[XCSEdge]:
        return [one for one in self.edges.values() if one.to_node == node_id]

    def topological_sort(self) -> list[str]:
        """Return the ids, each after those it reads, else as they were added.

        Raises `InvalidArgumentError`, a `ValueError`, for a cycle, with its nodes.
        """
        return [one for wave in self.waves() for one in wave]

    def waves(self) -> list[list[str]]:
        """Return the ids by levels: each level reads earlier ones only."""
        sorter = TopologicalSorter({key: one.inbound_edges for key, one in self.nodes.items()})
        try:
            sorter.prepare()
        except CycleError as error:
            shown = " -> ".join(reversed(error.args[1]))
            raise InvalidArgumentError(f"Graph contains a cycle: {shown}") from error
        found: list[list[str]] = []
        while sorter.is_active():
            ready = sorter.get_ready()
            found.append([one for one in self.nodes if one in ready])
            sorter.done(*ready)
        return found

    def prepare_node_inputs(self, node_id: str, results: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs of a node, made of the outputs of its predecessors.

        Every predecessor counts: lists under one name are joined in the order of the edges, and
        the answers of all are the ``responses``.
        """
        mapped: dict[str, list[Any]] = {}
        whole = []
        for edge in self._into(node_id):
            output = results[edge.from_node]
            if not edge.field_mappings:
                whole.append(output)
                continue
            fields = fields_of(output) or {}
            for source, target in edge.field_mappings.items():
                if source not in fields:
                    raise InvalidArgumentError(
                        f"the output of '{edge.from_node}' has no field '{source}'",
                        recovery_hint=f"it has: {', '.join(fields) or 'none'}",
                    )
                mapped.setdefault(target, []).append(fields[source])
        chosen = {name: _one(values) for name, values in mapped.items()}
        return {**merged(whole), **chosen}

    def __str__(self) -> str:
        lines = [f"XCSGraph: {len(self.nodes)} nodes, {len(self.edges)} edges"]
        for one in self.nodes.values():
            read = f" <- {', '.join(one.inbound_edges)}" if one.inbound_edges else ""
            lines.append(f"  {one.node_id}: {one.name or type(one.operator).__name__}{read}")
        return "\n".join(lines)

    __repr__ = __str__


def _one(values: list[Any]) -> Any:
    if len(values) > 1 and all(isinstance(one, list) for one in values):
        return [one for several in values for one in several]
    return values[0] if len(values) == 1 else values


def merge_xcs_graphs(base: XCSGraph, additional: XCSGraph, namespace: str) -> XCSGraph:
    """Return a graph of two, with the ids of the second after ``namespace_``.

    >>> one, other = XCSGraph(), XCSGraph()
    >>> _ = one.add_node(print, "a"), other.add_node(print, "a")
    >>> [*merge_xcs_graphs(one, other, "more").nodes]
    ['a', 'more_a']
    """
    made = XCSGraph(metadata={**base.metadata, namespace: additional.metadata})
    for graph, prefix in ((base, ""), (additional, f"{namespace}_")):
        names: dict[str, str] = {}
        for one in graph.nodes.values():
            new, number = prefix + one.node_id, 2
            while new in made.nodes:
                new, number = f"{prefix}{one.node_id}_{number}", number + 1
            names[one.node_id] = made.add_node(one.operator, new, one.name, one.metadata)
        for edge in graph.edges.values():
            made.add_edge(names[edge.from_node], names[edge.to_node], edge.field_mappings)
    return made

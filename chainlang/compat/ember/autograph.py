"""`autograph`: a block whose calls of operators are recorded as a graph, and not run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define

from chainlang.compat.ember.execution import RECORDED
from chainlang.compat.ember.graph import XCSGraph
from chainlang.compat.ember.operator import snake
from chainlang.compat.ember.recording import Reference, recording, references
from chainlang.compat.ember.structures import fields_of

__all__ = ["autograph"]


@define(eq=False)
class _GraphRecorder:
    graph: XCSGraph

    def record(self, operator: Any, inputs: Any) -> Reference:
        """Add a call as a node, with an edge from each call whose result it reads."""
        name = snake(type(operator).__name__)
        node_id, number = name, 2
        while node_id in self.graph.nodes:
            node_id, number = f"{name}_{number}", number + 1
        self.graph.add_node(operator, node_id, metadata={RECORDED: inputs})
        for one in references(inputs if isinstance(inputs, Reference) else fields_of(inputs)):
            self.graph.add_edge(one.node_id, node_id)
        return Reference(node_id)


@contextmanager
def autograph() -> Iterator[XCSGraph]:
    """Record the calls of operators inside the block as a graph.

    A result stands for itself in later calls, and so do its fields: ``result.responses``,
    ``result["responses"]``. Anything else about it is an error, since no call has run.
    `execute_graph` runs the graph, as often as wanted; inputs given to it replace those written in
    the block under the same name.

    >>> from chainlang.compat.ember import non, use
    >>> from chainlang.compat.ember.execution import execute_graph
    >>> from chainlang.engines.fake import FakeEngine
    >>> answers = non.UniformEnsemble(num_units=3, model_name="a", temperature=0.7)
    >>> with autograph() as graph:
    ...     found = answers(inputs={"query": "What is 17 + 25?"})
    ...     voted = non.MostCommon()(inputs={"responses": found["responses"]})
    >>> with use(engine=FakeEngine(answers={"17": "42", "7 + 5": "12"})):
    ...     outputs = execute_graph(graph)
    ...     others = execute_graph(graph, inputs={"query": "What is 7 + 5?"})
    >>> outputs["most_common"]["final_answer"], others[voted]["final_answer"]
    ('42', '12')
    """
    graph = XCSGraph()
    with recording(_GraphRecorder(graph)):
        yield graph

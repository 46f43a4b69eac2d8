"""Graphs of steps on vLLM: each starts once what it reads is there, and no token changes."""

from __future__ import annotations

from chainlang.engines.vllm.engine import VllmEngine
from tests.laws import law
from tests.laws.test_graphs import ROW, chain_of
from tests.strategies import Graph, graphs
from tests.vllm.same_tokens import hold_to_the_reference

SHORT = ("max_tokens=6", 'cut="keep"')


@law(graphs(options=SHORT), share=166, ci=2)  # 12 of them in the soak
def test_a_graph_has_the_tokens_of_the_reference(random_engine: VllmEngine, graph: Graph) -> None:
    hold_to_the_reference(chain_of(graph), random_engine, [ROW])

"""Graphs, under the path of Ember's engine."""

from chainlang.compat.ember.graph import (
    XCSEdge,
    XCSGraph,
    XCSGraphNode,
    XCSNode,
    merge_xcs_graphs,
)

__all__ = [
    "XCSEdge",
    "XCSGraph",
    "XCSGraphNode",
    "XCSNode",
    "merge_xcs_graphs",
]

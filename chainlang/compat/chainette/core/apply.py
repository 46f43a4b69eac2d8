"""Functions as nodes, under Chainette's path."""

from chainlang.compat.chainette.nodes import Apply, ApplyNode, apply

__all__ = ["Apply", "ApplyNode", "apply"]

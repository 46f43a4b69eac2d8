"""Operators between nodes, under Chainette's path."""

from chainlang.compat.chainette.nodes import Pipe, pipe

__all__ = ["Pipe", "pipe"]

"""The base class of nodes, under Chainette's path."""

from chainlang.compat.chainette.nodes import Node

__all__ = ["Node"]

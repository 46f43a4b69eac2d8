"""Branches, under Chainette's path."""

from chainlang.compat.chainette.nodes import Branch

__all__ = ["Branch"]

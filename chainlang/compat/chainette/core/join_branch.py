"""Joined branches, under Chainette's path."""

from chainlang.compat.chainette.nodes import JoinBranch

__all__ = ["JoinBranch"]

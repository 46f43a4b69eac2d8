"""Chains, under Chainette's path."""

from chainlang.compat.chainette.building import Chain

__all__ = ["Chain"]

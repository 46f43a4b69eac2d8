"""Steps, under Chainette's path."""

from chainlang.compat.chainette.nodes import SamplingParams, Step

__all__ = ["SamplingParams", "Step"]

"""Chainette's API: `Step`, `apply`, `Branch` and `Chain`, which builds a chain from them.

The result is run as any chain, ``built.map(rows)``, or as Chainette's, ``built.run(rows,
output_dir="folder")``. `batch_size` and Chainette's display names and emojis have no effect.
"""

from chainlang.compat.chainette.building import Chain
from chainlang.compat.chainette.engines import register_engine
from chainlang.compat.chainette.nodes import (
    Apply,
    ApplyNode,
    Branch,
    JoinBranch,
    Node,
    SamplingParams,
    Step,
    apply,
    pipe,
)

__all__ = [
    "Apply",
    "ApplyNode",
    "Branch",
    "Chain",
    "JoinBranch",
    "Node",
    "SamplingParams",
    "Step",
    "apply",
    "pipe",
    "register_engine",
]

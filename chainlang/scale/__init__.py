"""Runs of several processes: shards and the folder made of them, and chains on Ray."""

from chainlang.scale.merge import merge as merge
from chainlang.scale.ray_batches import as_ray as as_ray

__all__ = ["as_ray", "merge"]

"""Grids of devices, under the path of Ember's engine."""

from chainlang.compat.ember.mesh import (
    DeviceMesh,
    PartitionSpec,
    mesh_sharded,
)

__all__ = [
    "DeviceMesh",
    "PartitionSpec",
    "mesh_sharded",
]

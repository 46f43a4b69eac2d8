"""Transforms, under the path of Ember's engine."""

from chainlang.compat.ember.mesh import (
    DeviceMesh,
    PartitionSpec,
    mesh_sharded,
)
from chainlang.compat.ember.transforms import (
    TransformOptions,
    compose,
    pjit,
)
from chainlang.compat.ember.xcs.transforms.pmap import (
    pmap,
)
from chainlang.compat.ember.xcs.transforms.vmap import (
    vmap,
)

__all__ = [
    "DeviceMesh",
    "PartitionSpec",
    "TransformOptions",
    "compose",
    "mesh_sharded",
    "pjit",
    "pmap",
    "vmap",
]

"""`mesh_sharded`: a function over the parts of its inputs, one part for each place of a grid."""

from __future__ import annotations

import functools
import itertools
import math
import os
from collections.abc import Callable, Sequence
from typing import Any

from chainlang.compat.ember.dataflow import Work, together
from chainlang.compat.ember.exceptions import TransformError
from chainlang.compat.ember.execution_options import get_execution_options
from chainlang.compat.ember.structures import fields_of
from chainlang.compat.ember.use import positions

__all__ = ["DeviceMesh", "PartitionSpec", "mesh_sharded"]


class DeviceMesh:
    """A grid of names of devices; here it says into how many parts inputs are cut.

    An engine has its devices, so the names are names. Raises `TransformError` if there are not as
    many as places.

    >>> DeviceMesh(shape=(2, 2)).get_device(1, 0)
    'cpu:2'
    """

    def __init__(
        self, devices: Sequence[str] | None = None, shape: tuple[int, ...] | None = None
    ) -> None:
        count = math.prod(shape) if shape else len(devices or ()) or os.cpu_count() or 1
        self.devices = [*devices] if devices else [f"cpu:{number}" for number in range(count)]
        self.shape = shape or (len(self.devices),)
        if count != len(self.devices) or min(self.shape) < 1:
            raise TransformError(
                f"a mesh of shape {self.shape} has {math.prod(self.shape)} places,"
                f" for {len(self.devices)} devices"
            )

    def get_device(self, *place: int) -> str:
        """Return the device at a place."""
        number = 0
        for size, one in zip(self.shape, place, strict=True):
            number = number * size + one
        return self.devices[number]


class PartitionSpec:
    """The axis of a mesh along which each dimension of the data is cut; None: it is not."""

    def __init__(self, *mesh_axes: int | None) -> None:
        self.mesh_axes = mesh_axes

    def __repr__(self) -> str:
        return f"PartitionSpec({', '.join(map(repr, self.mesh_axes))})"


def mesh_sharded(
    fn: Callable[..., Any],
    mesh: DeviceMesh,
    in_partition: PartitionSpec | None = None,
    *,
    partition_spec: PartitionSpec | None = None,
) -> Callable[..., Any]:
    """Return a function that calls `fn` with each part of its data, and puts the results together.

    The data is a list, or a list of lists, alone or as the fields of ``inputs=``. Each part is
    computed once. Parts overlap as the execution options say.

    >>> double = mesh_sharded(
    ...     lambda part: [2 * one for one in part], DeviceMesh(shape=(2, 2)), PartitionSpec(0)
    ... )
    >>> double([1, 2, 3, 4, 5])
    [2, 4, 6, 8, 10]
    """
    chosen = partition_spec or in_partition or PartitionSpec(0)
    counts = []
    for axis in chosen.mesh_axes:
        if axis is not None and not 0 <= axis < len(mesh.shape):
            raise TransformError(f"{chosen} has axis {axis} for a mesh of shape {mesh.shape}")
        counts.append(1 if axis is None else mesh.shape[axis])

    @functools.wraps(fn, updated=())
    def sharded(data: Any = None, *, inputs: Any = None) -> Any:
        fields = None if inputs is None else fields_of(inputs)
        columns = {"": data} if fields is None else fields
        cut = {name: _cut(one, counts) for name, one in columns.items() if isinstance(one, list)}
        if not cut:
            raise TransformError(f"{getattr(fn, '__name__', 'fn')} is called without a list")
        calls: list[Callable[[], Any]] = []
        shape = next(iter(cut.values()))
        for row, column in itertools.product(range(len(shape)), range(len(shape[0]))):
            part = {
                name: cut[name][row][column] if name in cut else one
                for name, one in columns.items()
            }
            if fields is None:
                calls.append(functools.partial(fn, part[""]))
            else:
                calls.append(functools.partial(fn, inputs=part))
        works = [
            Work(f"part {number}", position, call)
            for number, (position, call) in enumerate(
                zip(positions(len(calls)), calls, strict=True)
            )
        ]
        options = get_execution_options()
        results = together(works, options, seconds=options.timeout_seconds)
        for one in results:
            if isinstance(one, BaseException):
                raise one
        return _joined(results, len(shape[0]))

    return sharded


def _cut(data: list[Any], counts: Sequence[int]) -> list[list[Any]]:
    """Return the parts of a list as rows of a grid; of a list of lists, as its blocks."""
    rows = _parts(data, counts[0] if counts else 1)
    if len(counts) < 2 or not all(isinstance(one, list) for one in data):
        return [[one] for one in rows]
    columns = [_parts([*range(len(data[0]))], counts[1])]
    return [[[[one[i] for i in part] for one in row] for part in columns[0]] for row in rows]


def _parts(items: list[Any], count: int) -> list[list[Any]]:
    count = max(1, min(count, len(items)))
    bounds = [len(items) * number // count for number in range(count + 1)]
    return [items[start:end] for start, end in itertools.pairwise(bounds)]


def _joined(results: list[Any], width: int) -> Any:
    if all(isinstance(one, dict) for one in results):
        names = results[0]
        return {name: _joined([one[name] for one in results], width) for name in names}
    if not all(isinstance(one, list) for one in results):
        return results
    rows = [results[start : start + width] for start in range(0, len(results), width)]
    if width == 1:
        return [item for (one,) in rows for item in one]
    return [
        [item for block in line for item in block]
        for row in rows
        for line in zip(*row, strict=True)
    ]

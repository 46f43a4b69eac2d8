"""Work of the processor spread by vmap, pmap and a mesh: matrices, and a strip of a fractal."""

from chainlang.compat.ember.xcs.transforms.mesh import DeviceMesh, PartitionSpec, mesh_sharded
from chainlang.compat.ember.xcs.transforms.pmap import pmap
from chainlang.compat.ember.xcs.transforms.vmap import vmap

Matrix = list[list[int]]


def trace_of_square(matrix: Matrix) -> int:
    size = range(len(matrix))
    return sum(matrix[i][j] * matrix[j][i] for i in size for j in size)


def steps(x: float, y: float, most: int = 50) -> int:
    point, start = complex(0, 0), complex(x, y)
    for number in range(most):
        point = point * point + start
        if abs(point) > 2:
            return number
    return most


def row(heights: list[float]) -> list[int]:
    return [steps(-0.75, y) for y in heights]


def main() -> None:
    matrices = [[[n, 1], [2, n]] for n in range(6)]
    print("loop:", [trace_of_square(one) for one in matrices])
    print("vmap:", vmap(trace_of_square)(matrices))
    print("pmap:", pmap(trace_of_square, num_workers=4)(matrices))
    heights = [0.1 * n for n in range(9)]
    print("vmap:", vmap(steps, in_axes=(None, 0))(-0.75, heights))
    mesh = DeviceMesh(shape=(2, 2))
    print("mesh:", mesh_sharded(row, mesh=mesh, partition_spec=PartitionSpec(0))(heights))

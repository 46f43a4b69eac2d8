"""Devices of workers: GPUs by ``CUDA_VISIBLE_DEVICES``, or cores of the processor."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

Device = TypeVar("Device")

_GPUS = Path("/proc/driver/nvidia/gpus")
VISIBLE = "CUDA_VISIBLE_DEVICES"


def gpus(environment: Mapping[str, str]) -> list[str]:
    """Return the GPUs that a process with an environment sees, as that variable names them."""
    named = environment.get(VISIBLE)
    if named is not None:
        return [one.strip() for one in named.split(",") if one.strip() not in ("", "-1")]
    return [str(number) for number, _ in enumerate(_GPUS.iterdir())] if _GPUS.is_dir() else []


def cores() -> list[int]:
    """Return the cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def shares(devices: Sequence[Device], count: int) -> list[list[Device]]:
    """Return the devices of each of several workers: equal shares, or one that some have in common.

    >>> shares([0, 1, 2, 3, 4], 2), shares([0, 1], 3)
    ([[0, 1], [2, 3, 4]], [[0], [1], [0]])
    """
    if not devices:
        return [[] for _ in range(count)]
    if count >= len(devices):
        return [[devices[number % len(devices)]] for number in range(count)]
    bounds = [len(devices) * number // count for number in range(count + 1)]
    return [[*devices[a:b]] for a, b in pairwise(bounds)]

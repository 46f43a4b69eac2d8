"""The memory, GPU memory and cores of this machine, beside what a model needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from attrs import frozen

from chainlang.engines.vllm import memory_size
from chainlang.ir.declarations import Model
from chainlang.models.facts import Fact

_GB = 1e9


@frozen
class Machine:
    """The resources of a machine: gigabytes of memory and of GPU memory, and cores."""

    memory_gb: float
    gpu_memory_gb: float
    cpu_cores: float

    @staticmethod
    @cache
    def here() -> Machine:
        """Return the resources of this machine, as this process may use them."""
        has_gpu = memory_size.has_gpu()
        gpu = memory_size.device_memory() / _GB if has_gpu else 0.0
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GB
        if not has_gpu:
            memory = min(memory, memory_size.device_memory() / _GB)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        return Machine(memory, gpu, cores)


_SAID = {"memory_gb": "GB of memory", "gpu_memory_gb": "GB of GPU memory", "cpu_cores": "cores"}


def misfit(model: Model, facts: Mapping[str, Fact], machine: Machine) -> str:
    """Return why a model does not fit a machine; empty if it does, or runs on a server."""
    if model.engine != "vllm":
        return ""
    for name, what in _SAID.items():
        needed = facts.get(name)
        there: float = getattr(machine, name)
        if needed is not None and needed.value > there:
            return f"it needs {needed.value:g} {what}, and there are {there:.3g}"
    return ""

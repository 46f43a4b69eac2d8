"""Fingerprint of a vLLM engine: everything that its completions depend on besides the request."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from chainlang.engines.vllm.memory_size import folder_of
from chainlang.engines.vllm.weight_files import identity, text_digest, tokenizer_digest
from chainlang.protocol.fingerprints import READS
from chainlang.protocol.messages import Fingerprint

_FIXED_ROPE = frozenset({None, "default", "linear", "llama3", "yarn", "mrope"})
"""Kinds of position encoding that vLLM computes without `max_model_len`; "longrope" does not."""
_READS_CONTEXT = frozenset({"llama4_text", "minimax_m2"})
"""Models with another computation that depends on it."""


def fingerprint(config: Any, template: str, *, dated: bool = False) -> Fingerprint:
    """Return the fingerprint of a model: digests of its files, vLLM's version, and the device.

    `template` is its chat template, and `dated` whether prompts depend on the day. The model's name
    and path are left out, because equal files elsewhere are the same model.
    """
    import torch
    import vllm

    model = config.model_config
    folder = folder_of(model.model, model.revision)
    files = identity(folder) if folder is not None else dict.fromkeys(("weights", "tokenizer"))
    if model.tokenizer != model.model:
        other = folder_of(model.tokenizer, model.tokenizer_revision)
        files["tokenizer"] = None if other is None else tokenizer_digest(other)
    moves = {} if _is_context_a_bound(model) else {"rope_context": model.max_model_len}
    on_cpu = str(config.device_config.device_type) == "cpu"
    return {
        "engine": "vllm",
        "version": vllm.__version__,
        "torch": torch.__version__,
        **files,
        "chat_template": text_digest(template),
        **({READS: "date"} if dated else {}),
        "dtype": str(model.dtype).removeprefix("torch."),
        "quantization": model.quantization,
        "context": model.max_model_len,
        **moves,
        "device": _processor() if on_cpu else torch.cuda.get_device_name(),
        "devices": config.parallel_config.world_size,
    }


def _is_context_a_bound(model: Any) -> bool:
    """Return whether a larger context changes nothing but the length that samples may have."""
    config = model.hf_text_config
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    # A model with several kinds of layers has a table for each.
    tables = [one for one in rope.values() if isinstance(one, Mapping)] or [rope]
    kinds = {one.get("rope_type", one.get("type", "default")) for one in tables}
    return kinds <= _FIXED_ROPE and getattr(config, "model_type", "") not in _READS_CONTEXT


def _processor() -> str:
    """Return the instruction set in use; the name of the processor changes no result."""
    import torch

    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"

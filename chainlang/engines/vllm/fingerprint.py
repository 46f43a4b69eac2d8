"""Fingerprint of a vLLM engine: everything that its completions depend on besides the request."""

from __future__ import annotations

import platform
from typing import Any

from chainlang.engines.vllm.memory_size import folder_of
from chainlang.engines.vllm.weight_files import identity, text_digest
from chainlang.protocol.messages import Fingerprint


def fingerprint(config: Any, template: str) -> Fingerprint:
    """Return the fingerprint of a model: digests of its files, vLLM's version, and the device.

    `template` is its chat template. The model's name and path are left out, because equal files
    elsewhere are the same model.
    """
    import torch
    import vllm

    model = config.model_config
    folder = folder_of(model.model, model.revision)
    files = identity(folder) if folder is not None else dict.fromkeys(("weights", "tokenizer"))
    on_cpu = str(config.device_config.device_type) == "cpu"
    return {
        "engine": "vllm",
        "version": vllm.__version__,
        "torch": torch.__version__,
        **files,
        "chat_template": text_digest(template),
        "dtype": str(model.dtype).removeprefix("torch."),
        "quantization": model.quantization,
        "context": model.max_model_len,
        "device": _processor() if on_cpu else torch.cuda.get_device_name(),
        "devices": config.parallel_config.world_size,
    }


def _processor() -> str:
    """Return the instruction set in use; the name of the processor changes no result."""
    import torch

    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"

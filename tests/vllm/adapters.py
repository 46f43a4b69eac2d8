"""LoRA adapters with random weights, in the format of PEFT, made here in a moment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CHANGED = ("q_proj", "v_proj")


def adapter(
    folder: Path,
    *,
    seed: int = 0,
    rank: int = 4,
    width: int = 128,
    layers: int = 4,
    **config: Any,
) -> Path:
    """Make an adapter that changes the attention of each layer, by default one for `tiny`.

    Its weights are large enough to change most tokens.
    """
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    weights, numbers = {}, torch.Generator().manual_seed(seed)
    for layer in range(layers):
        for name in CHANGED:
            part = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            for side, shape in (("A", (rank, width)), ("B", (width, rank))):
                drawn = torch.randn(shape, generator=numbers) * 0.3
                weights[f"{part}.lora_{side}.weight"] = drawn
    save_file(weights, folder / "adapter_model.safetensors")
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "tiny",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": [*CHANGED],
        "bias": "none",
        **config,
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder

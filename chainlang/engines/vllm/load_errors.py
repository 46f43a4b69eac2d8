"""Known errors of vLLM, torch and the hub while loading a model: their meaning and remedy."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from re import Match

from attrs import frozen

Explanation = tuple[str, str | None, str | None]
"""Message, to be read after the model's name; hint; and the setting to change."""
_Text = str | Callable[[Match[str]], str]


@frozen
class _Known:
    """A known error: a regular expression for its text, the message and the hint."""

    pattern: str
    message: _Text
    hint: _Text
    setting: str | None = None
    """Setting of the model to change."""


_LONGER = r"max_model_len \((\d+)\) is greater .*?(?:embeddings|length)=(\d+)"
_MEMORY = r"can't allocate memory: you tried to allocate (\d+) bytes|CUDA out of memory"
_CACHE = r"([\d.]+) GiB KV cache is needed, .* memory \(([\d.]+) GiB\)\.(?: Based.* is (\d+)\.)?"
_SHORTER = "pass a smaller max_model_len"
_KNOWN = (
    _Known(
        r"couldn't connect to|OfflineMode|offline mode is enabled|LocalEntryNotFound",
        lambda _: "is not on this machine, and " + _unreachable(),
        "where there is a network, run: hf download {model}\nor name a folder that holds the model",
    ),
    _Known(
        r"gated repo",
        "is open only to those who have accepted its terms",
        "accept them at https://huggingface.co/{model}, then run: hf auth login",
    ),
    _Known(
        r"not a valid model identifier|Repository Not Found|404 Client Error",
        "is neither on this machine nor on the hub",
        "look it up at https://huggingface.co/models; for one of your own, run: hf auth login",
    ),
    _Known(
        r"Unknown quantization method: (\S+)\. Must be",
        lambda found: f"can't be loaded: there is no quantization {found[1]!r} here",
        "leave quantization out: a model that is quantized says how itself",
        "quantization",
    ),
    _Known(
        r"Cannot find the config file for (\S+)",
        lambda found: f"is not quantized by {found[1]}",
        "leave quantization out",
        "quantization",
    ),
    _Known(
        r"torch\.(\w+) is not supported for quantization method (\S+)\.",
        lambda found: f"can't be loaded with quantization {found[2]!r} in {found[1]}",
        'pass dtype="bfloat16": replies then depend on what else is in the batch',
        "quantization",
    ),
    _Known(
        _LONGER,
        lambda found: f"has a context of {found[2]} tokens: max_model_len can't be {found[1]}",
        "pass a smaller max_model_len, or none",
        "max_model_len",
    ),
    _Known(
        r"Not enough allowed NUMA nodes|larger than the number of available GPUs",
        "can't be spread over so many devices",
        "pass a smaller tensor_parallel_size, or none",
        "tensor_parallel_size",
    ),
    _Known(
        _CACHE,
        lambda found: (
            f"needs {found[1]} GiB for one prompt of its full context, and there are {found[2]}"
        ),
        lambda found: f"pass max_model_len={found[3]}, or less" if found[3] else _SHORTER,
        "max_model_len",
    ),
    _Known(
        r"\(([\d.]+)/[\d.]+ GiB\) on startup is less than .*?, ([\d.]+) GiB",
        lambda found: f"is to take {found[2]} GiB of memory, and {found[1]} are free",
        "pass a smaller gpu_memory_utilization, or end what takes the rest",
        "gpu_memory_utilization",
    ),
    _Known(
        r"No available memory for the cache blocks",
        "leaves no memory for prompts beside its weights",
        "pass a larger gpu_memory_utilization, or name a smaller model",
        "gpu_memory_utilization",
    ),
    _Known(
        _MEMORY,
        lambda found: (
            "needs more memory than there is"
            + (f": {int(found[1]) / 2**30:,.1f} GiB more" if found[1] else "")
        ),
        "pass a smaller max_model_len, or name a smaller model",
        "max_model_len",
    ),
    _Known(
        r"Cannot find any model weights",
        "has no weights",
        "its folder needs *.safetensors beside config.json",
    ),
    _Known(
        r"deserializing header|incomplete metadata|invalid load key",
        "has weights that are damaged",
        "copy or download them again",
    ),
    _Known(
        r"Couldn't instantiate the backend tokenizer|Can't load tokenizer",
        "has no tokenizer",
        "its folder needs tokenizer.json beside config.json",
    ),
    _Known(
        r"config file at '.*' is not a valid JSON file",
        "has a config.json that is no JSON",
        "copy or download it again",
    ),
    _Known(
        r"has model type `(\w+)` but Transformers|architectures \['(\w+)'.*?\] are not supported",
        lambda found: f"is of a kind that this vLLM does not know: {found[1] or found[2]}",
        "a newer vLLM may know it",
    ),
    _Known(
        r"contains custom code",
        "brings code of its own, which is not run here",
        "name another model\nor run it in a server of its own, and ask that by openai(...)",
    ),
)


def explained(model: str, error: BaseException) -> Explanation:
    """Return the message and hint of a loading error; the error's own text if it is not known.

    >>> explained("m", RuntimeError("Cannot find any model weights with `m`"))[0]
    'has no weights'
    >>> explained("m", RuntimeError("surprise\\nand more"))
    ("can't be loaded: surprise", None, None)
    """
    reason = str(error).strip() or type(error).__name__
    for known in _KNOWN:
        if found := re.search(known.pattern, reason, re.DOTALL):
            message, hint = (
                text if isinstance(text, str) else text(found)
                for text in (known.message, known.hint)
            )
            return message, hint.replace("{model}", model), known.setting
    return f"can't be loaded: {short(reason)}", None, None


def short(reason: str) -> str:
    """Return an error's text on one line, without the heading and link of pydantic's errors."""
    lines = [line.strip() for line in reason.splitlines() if line.strip()]
    wanted = next((line for line in lines if line.startswith("Value error, ")), lines[0])
    wanted = wanted.removeprefix("Value error, ").split(" [type=")[0]
    return wanted if len(wanted) <= 300 else wanted[:297] + "..."


def _unreachable() -> str:
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(name, "0").lower() not in ("", "0", "false", "no", "off"):
            return f"{name}={os.environ[name]} forbids to download it"
    return "the hub can't be reached to download it"

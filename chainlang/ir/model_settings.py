"""Engines of `model` declarations, and the settings of each.

Engine arguments that load or run code are left out, because files may come from untrusted authors.
"""

from __future__ import annotations

from collections.abc import Mapping

from chainlang.ir.rules import TEXT, TRUTH, Rule, integer, number, one_of

_SIZE = integer(1)
ENGINES: Mapping[str, Mapping[str, Rule]] = {
    "vllm": {
        "dtype": one_of("auto", "float32", "float16", "bfloat16"),
        "enable_prefix_caching": TRUTH,
        "gpu_memory_utilization": number(0, 1, open_low=True),
        "max_model_len": _SIZE,
        "max_num_seqs": _SIZE,
        "quantization": TEXT,
        "revision": TEXT,
        "tensor_parallel_size": _SIZE,
    },
    "openai": {
        "api_key": Rule('env("NAME")', lambda value: value),
        "base_url": TEXT,
        "max_concurrency": _SIZE,
        "max_model_len": _SIZE,
    },
    "fake": {},
}

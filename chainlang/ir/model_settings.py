"""Engines of `model` declarations, and the settings of each.

Files may come from untrusted authors. So the settings of files are listed here, and those that run
code have to be allowed where a file is loaded (`needs_permission`). In Python, `VllmEngine` takes
all of vLLM's arguments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import evolve

from chainlang.ir.model_facts import RULES
from chainlang.ir.nodes import Table
from chainlang.ir.rules import TEMPLATE_ARGS, TEXT, TEXTS, TRUTH, Rule, integer, number, one_of
from chainlang.ir.tables import is_plain
from chainlang.protocol.reasoning_tags import REASONING_TAGS, parser_hint


def _table(value: object) -> Table:
    if not isinstance(value, Table) or not is_plain(value):
        raise ValueError(value)
    return value


_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OWN_HEADERS = frozenset(
    {"authorization", "proxy-authorization", "cookie", "host", "content-type", "content-length"}
    | {
        "x-api-key",
        "anthropic-version",
        "transfer-encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "accept-encoding",
        "expect",
    }
)
"""Headers that the engine sets, and those that steer the connection."""


def _headers(value: object) -> Table:
    table = _table(value)
    for one in table.entries:
        text = one.value
        if not _HEADER.fullmatch(one.name) or one.name.lower() in _OWN_HEADERS:
            raise ValueError(value)
        if not (isinstance(text, str) and text.isascii() and text.isprintable() and text):
            raise ValueError(value)
    return table


def _thinking(value: object) -> Table:
    table = _table(value)
    kind = next((one.value for one in table.entries if one.name == "type"), None)
    if kind not in ("enabled", "adaptive", "disabled"):
        raise ValueError(value)
    return table


_SIZE = integer(1)
_TOKENS = integer(1, unit="tokens")
_TABLE = Rule('a table, {"name": value}', _table)
_REASONING = evolve(
    one_of(*REASONING_TAGS),
    wants='the name of a reasoning parser of vLLM, such as "qwen3"',
    instead=parser_hint,
)
_KEY = Rule('env("NAME")', lambda value: value)
_HEADERS = Rule(
    'a table of texts, {"X-Title": "mine"}, without keys and headers of the protocol', _headers
)
_RATES = {"batch": TRUTH, "requests_per_minute": _SIZE, "tokens_per_minute": _SIZE}
_ARGUMENTS: Mapping[str, Mapping[str, Rule]] = {
    "vllm": {
        "dtype": one_of("auto", "float32", "float16", "bfloat16"),
        "enable_prefix_caching": TRUTH,
        "gpu_memory_utilization": number(0, 1, open_low=True),
        "max_model_len": _TOKENS,
        "max_num_seqs": _SIZE,
        "quantization": TEXT,
        "reasoning": _REASONING,
        "revision": TEXT,
        "template_args": TEMPLATE_ARGS,
        "tensor_parallel_size": _SIZE,
        "tool_parser": Rule(
            'the name of a tool parser of vLLM, such as "hermes"', TEXT.read, takes_text=True
        ),
        "chat_template": Rule(
            'the path of a file beside this one, a template, or "none"', TEXT.read, takes_text=True
        ),
        "cpu_offload_gb": number(0, float("inf"), unit="GiB"),
        "enforce_eager": TRUTH,
        "hf_overrides": _TABLE,
        "kv_cache_dtype": TEXT,
        "load_format": TEXT,
        "lora": Rule(
            "the folder of an adapter beside this file, or its name on the hub",
            TEXT.read,
            takes_text=True,
        ),
        "max_lora_rank": _SIZE,
        "max_num_batched_tokens": _TOKENS,
        "pipeline_parallel_size": _SIZE,
        "speculative_config": _TABLE,
        "tokenizer": TEXT,
        "trust_remote_code": TRUTH,
        "fallback_models": TEXTS,
    },
    "openai": {
        "api_key": _KEY,
        "base_url": TEXTS,
        "headers": _HEADERS,
        "max_concurrency": _SIZE,
        "max_model_len": _TOKENS,
        "fallback_models": TEXTS,
        **_RATES,
        "probe": TRUTH,
        "reasoning": _REASONING,
        "template_args": TEMPLATE_ARGS,
    },
    "anthropic": {
        "api_key": _KEY,
        "base_url": TEXTS,
        "headers": _HEADERS,
        "max_concurrency": _SIZE,
        "fallback_models": TEXTS,
        **_RATES,
        "thinking": Rule(
            'a table, {"type": "adaptive"} or {"type": "enabled", "budget_tokens": 2048}', _thinking
        ),
    },
    "fake": {"fallback_models": TEXTS},
    "mcp": {
        "api_key": _KEY,
        "args": TEXTS,
        "env": TEXTS,
        "headers": _HEADERS,
        "max_bytes": integer(1, unit="bytes"),
        "max_concurrency": _SIZE,
        "network": TRUTH,
        "read": TEXTS,
        "sandbox": one_of("bwrap", "none"),
        "seconds": number(0, 86_400, open_low=True, unit="seconds"),
        "write": TEXTS,
    },
}
ENGINES = {
    name: dict(arguments) if name == "mcp" else {**arguments, **RULES}
    for name, arguments in _ARGUMENTS.items()
}
"""The settings of the models of each engine: its arguments, and what is said about a model."""

SERVERS = frozenset({"openai", "anthropic"})
"""Engines whose models run on servers."""
_LOADERS = frozenset(
    {"auto", "hf", "safetensors", "fastsafetensors", "pt", "npcache", "mistral", "dummy"}
    | {"sharded_state", "bitsandbytes", "gguf"}
)
"""Formats of weights that hold numbers, on the disk or on the hub."""
_DRAFTS = frozenset(
    {"method", "model", "num_speculative_tokens", "draft_tensor_parallel_size", "quantization"}
    | {"prompt_lookup_max", "prompt_lookup_min", "max_model_len", "revision"}
)
_OWN_CLASS = "custom_class"
PERMISSIONS = ("trust_remote_code", "load_format", "speculative_config", "sandbox")
"""Settings that may run code, which are allowed where a file is loaded."""


ADAPTER = "lora"
"""Setting with the LoRA adapter of a model. Models that differ in it alone share an engine."""
OF_ADAPTERS = frozenset({ADAPTER, "max_lora_rank"})
FALLBACKS = "fallback_models"
"""Setting with the models that answer where one can't; an option of stages, too."""
BASE = "base_model"
"""Setting with the name of the model that a quantized one is a variant of."""
ABOUT = frozenset({"probe", "provider", BASE, FALLBACKS, *RULES})
"""Settings that say something about a model, and are no arguments of its engine."""
TEMPLATE = "chat_template"
"""Setting whose value may be the path of a file beside the file that has it."""


def is_path(template: object) -> bool:
    """Return whether the value of `chat_template` is the path of a file.

    >>> is_path("chat.jinja"), is_path("none"), is_path("{{ messages[0].content }}")
    (True, False, False)
    """
    return isinstance(template, str) and template not in ("", "none") and "{" not in template


def needs_permission(name: str, value: object) -> bool:
    """Return whether a setting of a model or a server runs code that the file or the model brings.

    >>> needs_permission("load_format", "safetensors"), needs_permission("load_format", "mine")
    (False, True)
    """
    match name, value:
        case "trust_remote_code", bool(value):
            return value
        case "load_format", str(value):
            return value not in _LOADERS
        case "sandbox", "none":
            return True
        case "speculative_config", Table(entries):
            return any(
                one.name not in _DRAFTS or (one.name == "method" and one.value == _OWN_CLASS)
                for one in entries
            )
    return False

"""How vLLM reads the prompts of a model: by its tokenizer and chat template, which load alone."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from attrs import frozen

from chainlang.engines.protocol import refuse
from chainlang.engines.vllm.load import CPU_BLOCK, Prepared, found
from chainlang.engines.vllm.load_errors import short
from chainlang.engines.vllm.memory_size import on_cpu
from chainlang.engines.vllm.prefill import Form, form
from chainlang.engines.vllm.silence import quiet
from chainlang.engines.vllm.tokenize import Prompts
from chainlang.protocol.messages import Message

_GPU_BLOCK = 16  # vLLM's own default
_PLAIN_ROPE = (None, "default", "llama3")  # others may stretch the context that the model says


@frozen
class VllmReader:
    """How vLLM reads the prompts of a model."""

    prompts: Prompts
    block: int | None
    context: int | None

    @classmethod
    def of(cls, model: Prepared) -> VllmReader:
        """Return how a model is read that can be loaded."""
        cache = model.config.cache_config
        block = int(cache.block_size) if cache.enable_prefix_caching else None
        return cls(model.prompts, block, model.context)

    def token_ids(self, messages: Iterable[Message], schema: str | None = None) -> list[int]:
        """Return the tokens of a prompt, with what its reply is given of its beginning.

        Raises ValueError where there are none.
        """
        ids = self.prompts.token_ids(messages)
        return ids if schema is None else [*ids, *self.form(schema, lenient=True).opening_ids]

    def form(self, schema: str, *, lenient: bool) -> Form:
        """Return what a reply is held to. Raises ValueError for what vLLM can't hold it to."""
        return form(schema, self.prompts, lenient=lenient)


@lru_cache(maxsize=8)
def reader(
    model: str | Path,
    *,
    max_model_len: int | None = None,
    revision: str | None = None,
    enable_prefix_caching: bool = True,
    **_: object,
) -> VllmReader:
    """Return how a model will be read that is not loaded; the settings are those of `VllmEngine`.

    Takes some seconds for the first model, in which no weights are read. Raises `EngineError` where
    the tokenizer can't be had.
    """
    source = found(model)
    try:
        with quiet():
            import xgrammar  # noqa: F401  # it writes the grammars of replies
            from transformers import AutoConfig, AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(source, revision=revision)
            config = AutoConfig.from_pretrained(source, revision=revision)
            prompts = Prompts(tokenizer)
    except ModuleNotFoundError as error:
        refuse(f"{error.name} is not installed, which comes with vLLM and reads its prompts")
    except Exception as error:  # noqa: BLE001  # transformers and the hub raise what they like
        refuse(f"its tokenizer can't be read: {short(str(error))}")
    block = CPU_BLOCK if on_cpu() else _GPU_BLOCK
    context = max_model_len or _context(config)
    return VllmReader(prompts, block if enable_prefix_caching else None, context)


def _context(config: Any) -> int | None:
    """Return the longest context that a model says it has, if that is all there is to it."""
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    if not isinstance(rope, dict) or rope.get("rope_type") not in _PLAIN_ROPE:
        return None
    return getattr(text, "max_position_embeddings", None)

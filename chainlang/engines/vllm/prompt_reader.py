"""Tokenizer and chat template of a vLLM model, which load without its weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from attrs import frozen

from chainlang.engines.protocol import refuse
from chainlang.engines.vllm.engine_arguments import CPU_BLOCK
from chainlang.engines.vllm.interruption import not_halfway
from chainlang.engines.vllm.load import Prepared, resolve_model
from chainlang.engines.vllm.load_errors import short
from chainlang.engines.vllm.memory_size import on_cpu
from chainlang.engines.vllm.prefill import Constraint, constraint
from chainlang.engines.vllm.silence import quiet
from chainlang.engines.vllm.template_text import template_text
from chainlang.engines.vllm.tokenize import Prompts
from chainlang.errors import EngineError
from chainlang.protocol.messages import Message, Role
from chainlang.protocol.template_args import canonical

_GPU_BLOCK = 16  # vLLM's own default
_PLAIN_ROPE = (None, "default", "llama3")  # other kinds may extend the configured context


@frozen
class VllmReader:
    """Tokenizer of a model's prompts, with the prefill of its replies."""

    prompts: Prompts
    block: int | None
    context: int | None

    @classmethod
    def of(cls, model: Prepared) -> VllmReader:
        """Return the reader of a prepared model."""
        cache = model.config.cache_config
        block = int(cache.block_size) if cache.enable_prefix_caching else None
        return cls(model.prompts, block, model.context)

    def token_ids(
        self, messages: Iterable[Message], schema: str | None = None, template_args: str = ""
    ) -> list[int]:
        """Return the tokens of a prompt and of the prefill of its reply.

        Raises `ValueError` if the messages can't be tokenized.
        """
        messages = tuple(messages)
        ids = self.prompts.token_ids(messages, template_args=template_args)
        state = self.prompts.state(messages, template_args=template_args)
        if schema is None or state != "ended":
            return ids
        return [*ids, *self.constraint(schema, lenient=True).prefill_ids]

    def token_id(self, text: str) -> int:
        """Return the id of a text that is one token. Raises `ValueError` if it is not."""
        return self.prompts.token_id(text)

    def refusal(self, roles: tuple[Role, ...], template_args: str = "") -> str | None:
        """Return why the model can't have prompts with messages of these roles; None if it can."""
        return self.prompts.refusal(roles, template_args)

    def constraint(self, schema: str, *, lenient: bool) -> Constraint:
        """Return the constraint of a schema. Raises `ValueError` if vLLM can't enforce it."""
        return constraint(schema, self.prompts, lenient=lenient)


def reader(
    model: str | Path,
    *,
    max_model_len: int | None = None,
    revision: str | None = None,
    enable_prefix_caching: bool = True,
    tokenizer: str | None = None,
    chat_template: str | None = None,
    template_args: Mapping[str, Any] | None = None,
    reasoning: str | None = None,
    **_: object,
) -> VllmReader:
    """Return the reader of a model, without loading it; the settings are those of `VllmEngine`.

    Takes some seconds for the first model. Raises `EngineError` if the tokenizer can't be loaded.
    """
    own = (tokenizer, chat_template, canonical(template_args or {}), reasoning)
    return _reader(model, max_model_len, revision, enable_prefix_caching, *own)


@lru_cache(maxsize=8)
def _reader(  # noqa: PLR0917
    model: str | Path,
    max_model_len: int | None,
    revision: str | None,
    enable_prefix_caching: bool,
    tokenizer: str | None,
    chat_template: str | None,
    template_args: str,
    reasoning: str | None,
) -> VllmReader:
    source = resolve_model(model)
    try:
        with not_halfway("importing the tokenizer"), quiet():
            import xgrammar  # noqa: F401  # needed for the prefill
            from transformers import AutoConfig, AutoTokenizer

            own = AutoTokenizer.from_pretrained(tokenizer or source, revision=revision)
            config = AutoConfig.from_pretrained(source, revision=revision)
            arguments = json.loads(template_args) if template_args else None
            template = template_text(own, chat_template, str(model))
            prompts = Prompts(own, template, template_args=arguments, reasoning=reasoning)
    except EngineError:
        raise
    except ModuleNotFoundError as error:
        refuse(f"{error.name} is not installed; it comes with vLLM and tokenizes prompts")
    except Exception as error:  # noqa: BLE001  # these libraries have no common base class
        refuse(f"its tokenizer can't be loaded: {short(str(error))}")
    block = CPU_BLOCK if on_cpu() else _GPU_BLOCK
    context = max_model_len or _context(config)
    return VllmReader(prompts, block if enable_prefix_caching else None, context)


def _context(config: Any) -> int | None:
    """Return the configured context of a model; None if its position encoding may extend it."""
    text = config.get_text_config()
    rope = getattr(text, "rope_parameters", None) or getattr(text, "rope_scaling", None) or {}
    if not isinstance(rope, dict) or rope.get("rope_type") not in _PLAIN_ROPE:
        return None
    return getattr(text, "max_position_embeddings", None)

"""Capabilities of a vLLM engine."""

from __future__ import annotations

from chainlang.engines.vllm.load import Prepared
from chainlang.protocol.capabilities import Capabilities


def capabilities(model: Prepared, *, adapts: bool = False) -> Capabilities:
    """Return what an engine with a model guarantees; `adapts`: whether it has LoRA adapters.

    Labels are scored as prompts, and vLLM has no probabilities of prompts beside adapters.
    """
    has_labels = model.prompts.end_id is not None and not adapts
    return Capabilities(
        name="vllm",
        schemas=True,
        seeds=True,
        batch_invariant=model.batch_invariant,
        plain_values=True,
        token_ids=True,
        priorities=True,
        logprobs=True,
        options=(
            *("presence_penalty", "frequency_penalty"),
            *("top_k", "min_p", "min_tokens", "repetition_penalty", "logit_bias", "bad_words"),
            *("stop_token_ids", "ignore_eos", "include_stop", "top_logprobs", "template_args"),
            *(("choices",) if has_labels else ()),
        ),
        streams=True,
        prefixes=True,
        adapters=True,
        continues=model.prompts.tags is not None,
        closes=True,
        decides=True,
        tools=model.prompts.calls is not None,
    )

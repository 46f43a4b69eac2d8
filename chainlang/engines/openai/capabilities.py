"""Capabilities of servers with the chat completions API."""

from __future__ import annotations

from chainlang.engines.hosts import Host
from chainlang.protocol.capabilities import Capabilities

_OF_OTHERS = (
    *("top_k", "min_p", "min_tokens", "repetition_penalty", "bad_words"),
    *("stop_token_ids", "ignore_eos", "include_stop", "template_args"),
)
"""Options that OpenAI's protocol does not have."""
_PENALTIES = ("presence_penalty", "frequency_penalty")


def capabilities_of(host: Host) -> Capabilities:
    """Return what a host has by its documents, or what an unknown one may have.

    Servers may ignore options that they do not know.
    """
    honours = host.honours
    logprobs = honours.get("logprobs", True)
    return Capabilities(
        name="openai",
        schemas=False,
        seeds=honours.get("seed", True),
        batch_invariant=False,
        plain_values=False,
        priorities=True,
        logprobs=logprobs,
        options=(
            "extra",
            *(("logit_bias",) if honours.get("logit_bias", True) else ()),
            *(("top_logprobs",) if logprobs else ()),
            *(_PENALTIES if honours.get("penalties", True) else ()),
            *(() if host.own else _OF_OTHERS),
        ),
        streams=True,
        images=True,
        tools=True,
        typed_tools=True,
        temperatures=(0.0, host.temperature),
        deadlines=True,
    )

"""Hosts of models: their addresses, the variables of their keys, and what their documents say.

Servers of OpenAI's protocol differ in what they honour. What a document says a host refuses or
ignores is declared here, so that a chain which needs it is refused before the first row. What no
document says is unknown, and `chainlang models NAME --probe` finds out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal
from urllib.parse import urlsplit

from attrs import field, frozen

Feature = Literal["schema", "n", "seed", "logprobs", "logit_bias", "penalties"]
"""Features that servers may honour: JSON schemas of replies, several samples per request, seeds,
log probabilities, biases of tokens, and presence and frequency penalties."""
READ = "2026-11-30"
"""Date of the entries."""


@frozen
class Host:
    """A host of models, as its documents describe it."""

    prefix: str
    """Name of the provider, before the name of a model: ``groq:llama-3.3-70b-versatile``."""
    url: str
    """Address of its API, before ``/chat/completions`` or ``/messages``."""
    variable: str | None
    """Variable of the environment with the key; None if it needs none."""
    source: str
    """Document that the rest is from."""
    honours: Mapping[Feature, bool] = field(factory=dict)
    """Whether it honours a feature; what is missing is unknown."""
    engine: Literal["openai", "anthropic"] = "openai"
    seed: str = "seed"
    """Name of the seed in a request."""
    limit: str = "max_tokens"
    """Name of the maximum number of tokens in a request."""
    temperature: float = 2.0
    """Highest temperature."""
    own: bool = True
    """Whether it takes no options but those of OpenAI's protocol."""
    read: str = READ

    @property
    def name(self) -> str:
        """Host of the address, with its port if it has one."""
        return urlsplit(self.url).netloc


_ALL: Mapping[Feature, bool] = {"schema": True, "n": True, "seed": True, "logprobs": True}

HOSTS = (
    Host(
        "openai", "https://api.openai.com/v1", "OPENAI_API_KEY",
        "https://platform.openai.com/docs/api-reference/chat/create",
        {**_ALL, "logit_bias": True, "penalties": True},
        limit="max_completion_tokens",
    ),
    Host(
        "anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY",
        "https://platform.claude.com/docs/en/api/messages",
        {"schema": True, "n": False, "seed": False, "logprobs": False, "logit_bias": False,
         "penalties": False},
        engine="anthropic", temperature=1.0,
    ),
    Host(
        "gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY",
        "https://ai.google.dev/gemini-api/docs/openai",
        {"schema": True},
    ),
    Host(
        "mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY",
        "https://docs.mistral.ai/api",
        {"schema": True, "n": True, "seed": True, "logprobs": False, "logit_bias": False,
         "penalties": True},
        seed="random_seed",
    ),
    Host(
        "groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY",
        "https://console.groq.com/docs/openai",
        {"n": False, "logprobs": False, "logit_bias": False},
    ),
    Host(
        "cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY",
        "https://inference-docs.cerebras.ai/resources/openai",
        {"seed": True, "logit_bias": False, "penalties": False},
    ),
    Host(
        "deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY",
        "https://api-docs.deepseek.com/api/create-chat-completion",
        {"schema": False, "logprobs": True, "penalties": True},
    ),
    Host("xai", "https://api.x.ai/v1", "XAI_API_KEY", "https://docs.x.ai/docs/api-reference"),
    Host(
        "together", "https://api.together.xyz/v1", "TOGETHER_API_KEY",
        "https://docs.together.ai/reference/chat-completions-1",
        own=False,
    ),
    Host(
        "fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY",
        "https://docs.fireworks.ai/api-reference/post-chatcompletions",
        own=False,
    ),
    Host(
        "openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY",
        "https://openrouter.ai/docs/api-reference/overview",
        own=False,
    ),
    Host(
        "ollama", "http://localhost:11434/v1", None,
        "https://docs.ollama.com/api/openai-compatibility",
        {"schema": True, "seed": True, "logprobs": True, "n": False, "logit_bias": False,
         "penalties": True},
    ),
    Host(
        "vllm", "http://localhost:8000/v1", None,
        "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
        {**_ALL, "logit_bias": True, "penalties": True},
        own=False,
    ),
)  # fmt: skip
"""Known hosts, one for each provider."""


@cache
def host_of(netloc: str) -> Host | None:
    """Return the entry of a host, with its port if it has one; None if it is unknown.

    >>> host_of("api.groq.com").prefix
    'groq'
    >>> host_of("127.0.0.1:11434").prefix, host_of("localhost:8000")
    ('ollama', None)
    """
    name = netloc.replace("127.0.0.1:", "localhost:")
    # Any program may have the port of vLLM's server, so its address says nothing.
    return next((one for one in HOSTS if one.name == name and one.prefix != "vllm"), None)


@cache
def host_named(prefix: str) -> Host | None:
    """Return the host of a provider; None if it is unknown.

    >>> host_named("mistral").variable
    'MISTRAL_API_KEY'
    """
    return next((one for one in HOSTS if one.prefix == prefix), None)

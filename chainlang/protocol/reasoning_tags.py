"""Tags around the reasoning of models, by the names that vLLM gives to its reasoning parsers.

The table is our own: vLLM's parsers import packages that not every installation has, and a chain
that asks a server has no vLLM. A test compares it with the parsers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

State = Literal["open", "ended", "unknown"]
"""State at the end of a prompt: the reply continues reasoning, follows it, or may begin with it."""

_BLANKS = 16  # maximum number of blanks before the tag that begins reasoning
_THINK = ("<think>", "</think>")
_COHERE = ("<|START_THINKING|>", "<|END_THINKING|>")

REASONING_TAGS: Mapping[str, tuple[str, str]] = {
    "cohere_command3": _COHERE,
    "cohere_command4": _COHERE,
    "deepseek_r1": _THINK,
    "deepseek_v3": _THINK,
    "deepseek_v4": _THINK,
    "ernie45": _THINK,
    "glm45": _THINK,
    "glm47": _THINK,
    "granite_thinking_parser": _THINK,
    "holo2": _THINK,
    "hy_v3": _THINK,
    "k2_horizon": ("<ifm|think>", "</ifm|think>"),
    "kimi_k2": _THINK,
    "ling3": _THINK,
    "mimo": _THINK,
    "minicpmv": _THINK,
    "minimax_m2": _THINK,
    "minimax_m3": ("<mm:think>", "</mm:think>"),
    "mistral": ("[THINK]", "[/THINK]"),
    "nemotron_v3": _THINK,
    "olmo3": _THINK,
    "plamo3": ("<|plamo:begin_think:plamo|>", "<|plamo:end_think:plamo|>"),
    "poolside_v1": _THINK,
    "qwen3": _THINK,
    "seed_oss": ("<seed:think>", "</seed:think>"),
    "step3": _THINK,
    "step3p5": _THINK,
}
"""The tag that begins reasoning and the one that ends it. Parsers without one of them are left
out."""


_FAMILIES: Mapping[str, str] = {
    "cohere_command3": "cohere command command_a",
    "deepseek_r1": "deepseek r1",
    "ernie45": "ernie",
    "glm45": "glm glm4",
    "granite_thinking_parser": "granite granite3",
    "kimi_k2": "kimi",
    "minimax_m2": "minimax",
    "mistral": "magistral",
    "nemotron_v3": "nemotron",
    "olmo3": "olmo",
    "qwen3": "qwen qwen2 qwen3_5 qwq think",
    "seed_oss": "seed",
    "step3": "step",
}
_WITHOUT = frozenset({"gemma4", "gpt_oss", "gptoss", "harmony", "hunyuan_a13b", "openai_gptoss"})
"""Parsers and families without a tag that begins reasoning, or without one that ends it."""


def parser_hint(name: str) -> str | None:
    """Return what to write instead of a name that is no parser here; None if nothing is near.

    >>> parser_hint("Qwen3"), parser_hint("deepseek-r1"), parser_hint("glm"), parser_hint("x")
    ("did you mean 'qwen3'?", "did you mean 'deepseek_r1'?", "did you mean 'glm45'?", None)
    """
    own = name.lower().replace("-", "_").strip("<>")
    if own in _WITHOUT:
        return (
            "the reasoning of this model has no tags; a server separates it: vllm serve with "
            "--reasoning-parser, asked by openai(...) without reasoning="
        )
    others = (parser for parser, names in _FAMILIES.items() if own in names.split())
    known = own if own in REASONING_TAGS else next(others, None)
    return None if known is None else f"did you mean {known!r}?"


def begins(tags: tuple[str, str], text: str) -> bool:
    """Return whether a text begins with reasoning."""
    return text[: len(tags[0]) + _BLANKS].lstrip().startswith(tags[0])


def split(tags: tuple[str, str], state: State, text: str, spelled: int = 0) -> tuple[str, str]:
    """Return the reasoning of a sample and the text after it, without blanks between them.

    `spelled` is the number of end tags in the reasoning that are text, letter by letter.

    >>> split(_THINK, "unknown", "<think>7 + 5</think> 12"), split(_THINK, "open", "7 + 5")
    (('7 + 5', '12'), ('7 + 5', ''))
    >>> split(_THINK, "unknown", "12"), split(_THINK, "ended", " 12")
    (('', '12'), ('', ' 12'))
    """
    start, end = tags
    parts = text.split(end) if state != "ended" else []
    is_over = len(parts) > spelled + 1
    if state == "ended" or not (is_over or state == "open" or begins(tags, text)):
        return "", text
    reasoning, rest = end.join(parts[: spelled + 1]), end.join(parts[spelled + 1 :])
    return reasoning.lstrip().removeprefix(start).strip(), rest.lstrip()

"""Options of stages that call a model: what bears on sampling, and on what becomes of samples."""

from __future__ import annotations

from collections.abc import Mapping

from chainlang.ir.rules import TEXTS, TRUTH, Rule, integer, number, one_of

SAMPLING: Mapping[str, Rule] = {
    "frequency_penalty": number(-2, 2),
    "max_tokens": integer(1),
    "min_p": number(0, 1),
    "min_tokens": integer(0),
    "presence_penalty": number(-2, 2),
    "repetition_penalty": number(0, 2, open_low=True),
    "stop": TEXTS,
    "top_k": integer(1),
    "top_p": number(0, 1, open_low=True),
}
"""Sampling options, which every stage type with a model takes."""


def _need(value: object) -> int | float:
    if isinstance(value, float) and 0 < value < 1:
        return value
    return int(integer(1).read(value))


NEED = Rule(
    "a whole number of at least 1, or a share above 0 and below 1", _need, python="int | float"
)
DRAWS: Mapping[str, Rule] = {
    **SAMPLING,
    "cut": one_of("fail", "keep"),
    "logprobs": TRUTH,
    "need": NEED,
    "thinking_tokens": integer(1),
}
"""Options of every stage type with a model."""

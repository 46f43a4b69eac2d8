"""Sampling parameters of a stage, and what of them an engine has to be capable of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from chainlang.diagnostics.source import Span
from chainlang.ir.declarations import Item, Model, Setting
from chainlang.ir.nodes import Option
from chainlang.ir.sampling_options import DECLARED
from chainlang.ir.tables import plain
from chainlang.protocol.messages import Sampling

DEFAULT_MAX_TOKENS = 1024
THINKING_MAX_TOKENS = 16_384
"""Default of `max_tokens` for a model with a reasoning parser."""
_AS_THEY_ARE = frozenset(
    {"min_tokens", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty"}
    | {"repetition_penalty", "ignore_eos", "include_stop"}
)


def sampling_of(
    settings: Mapping[str, Any], temperature: float | None, most: int = DEFAULT_MAX_TOKENS
) -> Sampling:
    """Return the sampling parameters of a stage with these settings; defaults are filled in.

    `most` is the default of `max_tokens`.

    >>> sampling_of({"stop": "END", "bad_words": ("a", "b")}, 0.7).stop
    ('END',)
    """
    given = {name: value for name, value in settings.items() if name in _AS_THEY_ARE}
    for name in ("stop", "bad_words", "stop_token_ids"):
        if name in settings:
            value = settings[name]
            given[name] = value if isinstance(value, tuple) else (value,)
    if "logit_bias" in settings:
        bias = plain(settings["logit_bias"])
        given["logit_bias"] = tuple((token, float(bias[token])) for token in sorted(bias))
    if "extra" in settings:
        given["extra"] = json.dumps(plain(settings["extra"]), sort_keys=True)
    return Sampling(
        temperature=float(temperature or 0),
        max_tokens=settings.get("max_tokens", most),
        **given,
    )


def most_tokens(model: str, declared: Iterable[Item]) -> int:
    """Return the default of `max_tokens` for a model: more for one that thinks before it replies.

    An engine takes less where the context leaves less.
    """
    for item in declared:
        if isinstance(item, Model) and item.name == model:
            thinks = any(one.name == "reasoning" for one in item.settings)
            return THINKING_MAX_TOKENS if thinks else DEFAULT_MAX_TOKENS
    return DEFAULT_MAX_TOKENS


def demands(options: Iterable[Setting | Option]) -> dict[str, Span | None]:
    """Return what an engine has to be capable of (`Capabilities.options`), with its place."""
    found: dict[str, Span | None] = {}
    for one in options:
        if one.name in DECLARED and one.value is not False:
            found[one.name] = one.span
        elif one.name == "logprobs" and not isinstance(one.value, bool):
            found["top_logprobs"] = one.span
    return found

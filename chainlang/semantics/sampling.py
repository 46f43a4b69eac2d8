"""Sampling parameters of a stage, and what of them an engine has to be capable of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from chainlang.datatypes.check_types import Declared
from chainlang.datatypes.free_texts import free_texts
from chainlang.diagnostics.source import Span
from chainlang.ir.declarations import Item, Model, Setting, Type
from chainlang.ir.model_settings import ADAPTER, FALLBACKS
from chainlang.ir.nodes import Option
from chainlang.ir.sampling_options import DECLARED
from chainlang.ir.tables import plain
from chainlang.protocol.messages import Sampling

DEFAULT_MAX_TOKENS = 1024
THINKING_MAX_TOKENS = 16_384
"""Default of `max_tokens` for a model that thinks before it replies."""
_THOUGHTS = frozenset({"reasoning", "thinking"})
"""Settings of such models."""
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
    thinks = _THOUGHTS & _model(model, declared).keys()
    return THINKING_MAX_TOKENS if thinks else DEFAULT_MAX_TOKENS


def adapter_of(model: str, declared: Iterable[Item]) -> str:
    """Return the LoRA adapter of a model; "" for none."""
    return str(_model(model, declared).get(ADAPTER, ""))


def fallbacks_of(
    model: str, settings: Mapping[str, Any], declared: Iterable[Item]
) -> tuple[tuple[str, str], ...]:
    """Return the models that answer where one can't, each with its adapter.

    They are those of the stage, or else those of the model's declaration.
    """
    declared = tuple(declared)
    found = settings.get(FALLBACKS, _model(model, declared).get(FALLBACKS, ()))
    names = found if isinstance(found, tuple) else (found,)
    return tuple((str(one), adapter_of(str(one), declared)) for one in names if one != model)


def _model(name: str, declared: Iterable[Item]) -> dict[str, object]:
    """Return the settings of a declared model; none for a model that no item declares."""
    for item in declared:
        if isinstance(item, Model) and item.name == name:
            return {one.name: one.value for one in item.settings}
    return {}


def budgets_of(
    settings: Mapping[str, Any],
    returns: Type | None,
    types: Mapping[str, Declared],
    max_tokens: int,
) -> tuple[tuple[str, int], ...]:
    """Return the fields of a reply that have a budget, in its order, with their tokens.

    A budget is a number of tokens, or a share of `max_tokens`; `reasoning_tokens` is that of the
    first free text.

    >>> from chainlang import chain
    >>> from chainlang.semantics.stages import meaning
    >>> [meaning(chain(text).body).budgets for text in ("J", "J(reasoning_tokens=64)")]
    [(('reasoning', 768), ('final_answer', 1013)), (('reasoning', 64), ('final_answer', 1013))]
    """
    budgets: dict[str, Any] = dict(plain(settings.get("budget")) or {})
    if not budgets and "reasoning_tokens" not in settings:
        return ()
    names = free_texts(returns, types)
    if "reasoning_tokens" in settings and names:
        budgets[names[0]] = settings["reasoning_tokens"]
    return tuple(
        (name, most if isinstance(most := budgets[name], int) else max(1, int(most * max_tokens)))
        for name in names
        if name in budgets
    )


def demands(options: Iterable[Setting | Option]) -> dict[str, Span | None]:
    """Return what an engine has to be capable of (`Capabilities.options`), with its place."""
    found: dict[str, Span | None] = {}
    for one in options:
        if one.name in DECLARED and one.value is not False:
            found[one.name] = one.span
        elif one.name == "logprobs" and not isinstance(one.value, bool):
            found["top_logprobs"] = one.span
    return found

"""Options of stages that call a model: what bears on sampling, and on what becomes of samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainlang.ir.nodes import Table
from chainlang.ir.row_settings import is_template
from chainlang.ir.rules import TEMPLATE_ARGS, TEXTS, TOOLS, TRUTH, Rule, integer, number, one_of
from chainlang.ir.tables import is_plain, table_of

MOST_LOGPROBS = 20
"""Maximum number of likeliest tokens; the default of vLLM, and OpenAI's limit."""


def _biases(value: object) -> Table:
    if (
        not isinstance(value, Table)
        or not is_plain(value)
        or not all(one.name for one in value.entries)
    ):
        raise ValueError(value)
    found = {one.name: number(-100, 100).read(one.value) for one in value.entries}
    same = all(type(one.value) is float for one in value.entries)
    return value if same else table_of(found)


def _ids(value: object) -> tuple[int, ...]:
    many = value if isinstance(value, tuple) else (value,)
    if not many:
        raise ValueError(value)
    return tuple(integer(0).read(one) for one in many)


def _logprobs(value: object) -> bool | int:
    if isinstance(value, bool):
        return value
    if not isinstance(value, int) or not 1 <= value <= MOST_LOGPROBS:
        raise ValueError(value)
    return value


def _fields(value: object) -> Table:
    if not isinstance(value, Table) or not is_plain(value):
        raise ValueError(value)
    return value


def _tokens(value: object) -> Any:
    return value if is_template(value) else integer(1).read(value)


_TOKENS = Rule(
    "a whole number of at least 1, or a template", _tokens, is_template=True, python="int | str"
)
SAMPLING: Mapping[str, Rule] = {
    "frequency_penalty": number(-2, 2),
    "max_tokens": _TOKENS,
    "min_p": number(0, 1),
    "min_tokens": integer(0),
    "presence_penalty": number(-2, 2),
    "repetition_penalty": number(0, 2, open_low=True),
    "stop": TEXTS,
    "top_k": integer(1),
    "top_p": number(0, 1, open_low=True),
    "bad_words": TEXTS,
    "extra": Rule('a table, {"name": value}', _fields, python="Mapping[str, object]"),
    "ignore_eos": TRUTH,
    "include_stop": TRUTH,
    "logit_bias": Rule(
        'a table of numbers from -100 to 100, {"token": 5, "#15": -100}',
        _biases,
        python="Mapping[str, float] | Mapping[int, float]",
    ),
    "stop_token_ids": Rule("a whole number, or a list of them", _ids, python="int | Sequence[int]"),
}
"""Sampling options, which every stage type with a model takes."""


def _need(value: Any) -> int | float:
    if isinstance(value, float) and 0 < value < 1:
        return value
    return int(integer(1).read(value))


def _budgets(value: object) -> Table:
    if not isinstance(value, Table) or not value.entries:
        raise ValueError(value)
    return table_of({one.name: _need(one.value) for one in value.entries})


BUDGET = Rule(
    'a table of fields with their tokens, or a share of max_tokens, {"reasoning": 128}',
    _budgets,
    python="Mapping[str, int | float]",
)
MOST_ROUNDS = 64
"""Maximum of `tool_rounds`."""
DEFAULT_ROUNDS = 8
"""Default of `tool_rounds`."""


def _rounds(value: object) -> int:
    found = int(integer(1).read(value))
    if found > MOST_ROUNDS:
        raise ValueError(value)
    return found


NEED = Rule(
    "a whole number of at least 1, or a share above 0 and below 1", _need, python="int | float"
)
DRAWS: Mapping[str, Rule] = {
    **SAMPLING,
    "choices": TRUTH,
    "cut": one_of("fail", "keep"),
    "fallback_models": TEXTS,
    "logprobs": Rule(
        f"true, false, or a whole number from 1 to {MOST_LOGPROBS}", _logprobs, python="bool | int"
    ),
    "models": TEXTS,
    "need": NEED,
    "reasoning_tokens": integer(1),
    "template_args": TEMPLATE_ARGS,
    "tool_rounds": Rule(f"a whole number from 1 to {MOST_ROUNDS}", _rounds, python="int"),
    "tools": TOOLS,
    "thinking_tokens": integer(1),
}
"""Options of every stage type with a model."""
UNTYPED: Mapping[str, Rule] = {
    name: rule for name, rule in DRAWS.items() if name != "reasoning_tokens"
}
"""Options of a stage type whose replies are text."""

DECLARED = frozenset(
    {"top_k", "min_p", "min_tokens", "repetition_penalty", "logit_bias", "bad_words"}
    | {"stop_token_ids", "ignore_eos", "include_stop", "extra", "choices", "top_logprobs"}
    | {"template_args", "presence_penalty", "frequency_penalty"}
)
"""Options that only some engines have (`Capabilities.options`); `top_logprobs` is a number given to
`logprobs`."""
SENT_BY_CHAINS = frozenset(
    {"model", "messages", "temperature", "seed", "n", "stream", "stream_options", "max_tokens"}
    | {"max_completion_tokens", "response_format", "logprobs", "top_logprobs", "stop", "tools"}
    | {"include_stop_str_in_output", "top_p", "presence_penalty", "frequency_penalty"}
    | {"chat_template_kwargs"}
    | (SAMPLING.keys() - {"extra"})
)
"""Fields of the body of a request that `extra` can't have, since chains set them."""

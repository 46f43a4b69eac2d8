"""Names of options and settings in other libraries, with their equivalents here."""

from __future__ import annotations

from collections.abc import Collection, Mapping

OTHERS: Mapping[str, str] = {
    # options of stages, settings of ops
    "max_tokens": "max_completion_tokens max_length max_new_tokens max_output_tokens num_predict",
    "min_tokens": "min_length min_new_tokens",
    "repetition_penalty": "repeat_penalty",
    "stop": "eos stop_sequences stop_strings stop_words",
    "count": "best_of n num_return_sequences num_samples samples",
    "temperature": "temp",
    "system": "instruction instructions system_message system_prompt",
    "user": "prompt template user_message user_prompt",
    # options of combinators
    "times": "attempts max_attempts max_retries n_retries retries tries",
    "backoff": "delay sleep wait",
    "seconds": "duration timeout",
    "max": "iterations max_iterations max_rounds rounds",
    "until": "condition stop_when",
    "by": "condition field key on",
    "arms": "branches cases choices routes",
    "default": "else fallback otherwise",
    "over": "in items list",
    "item": "name var variable",
    # settings of models
    "max_model_len": "context context_length context_window max_context n_ctx num_ctx",
    "base_url": "address api_base endpoint host openai_api_base url",
    "api_key": "key openai_api_key token",
    "max_concurrency": "concurrency max_connections parallelism workers",
    "tensor_parallel_size": "tp tp_size",
    # settings of runs
    "seed": "random_seed random_state rng",
    "window": "batch_size concurrency max_concurrency num_workers parallelism workers",
    "call_seconds": "timeout",
    "limit": "max_rows n_rows num_rows",
    "model": "llm model_id model_name",
    "engine": "backend client llm",
    "cache_folder": "cache_dir cache_path",
    "progress": "callback callbacks verbose",
}
"""Names here, each with its equivalents in other libraries."""

_RUN = "{} is a setting of a run: qa(..., {}={})"
_STAGE = "{} is an option of stages that call a model: E({}={})"
_TYPE = "the type of a reply is declared by an op: op(user=..., returns=Review)"
_COUNT = "the count of a stage is the number of samples: 3:E"
_SYSTEM = 'system is a setting of an op: op(user="...", system="...")'
_LIMITED = "timeout is a combinator: timeout(E, seconds=30)"
_RETRIED = "retry is a combinator: retry(E, times=3)"
ELSEWHERE: Mapping[str, str] = {
    "cache": _RUN.format("cache", "cache", '"write"'),
    "engine": _RUN.format("engine", "engine", "..."),
    "seed": _RUN.format("seed", "seed", 3),
    "random_seed": _RUN.format("seed", "seed", 3),
    "max_tokens": _STAGE.format("max_tokens", "max_tokens", 512),
    "max_new_tokens": _STAGE.format("max_tokens", "max_tokens", 512),
    "max_completion_tokens": _STAGE.format("max_tokens", "max_tokens", 512),
    "stop": _STAGE.format("stop", "stop", '"END"'),
    "temperature": _STAGE.format("temperature", "temperature", 0.7),
    "top_k": _STAGE.format("top_k", "top_k", 40),
    "top_p": _STAGE.format("top_p", "top_p", 0.9),
    "n": _COUNT,
    "num_samples": _COUNT,
    "retries": _RETRIED,
    "max_retries": _RETRIED,
    "timeout": _LIMITED,
    "system": _SYSTEM,
    "system_prompt": _SYSTEM,
    "json_schema": _TYPE,
    "output_type": _TYPE,
    "response_format": _TYPE,
    "response_model": _TYPE,
    "returns": _TYPE,
    "schema": _TYPE,
}
"""Hints for names that are used in the wrong place."""


def meant_by(name: str, known: Collection[str]) -> str | None:
    """Return a hint for a name of another library, or one in the wrong place; None without any.

    >>> meant_by("max_new_tokens", ["max_tokens", "stop"]), meant_by("anything", ["max_tokens"])
    ("did you mean 'max_tokens'?", None)
    >>> meant_by("seed", ["max_tokens", "need"])
    'seed is a setting of a run: qa(..., seed=3)'
    """
    name = name.lower()
    ours = [one for one, others in OTHERS.items() if one in known and name in others.split()]
    if ours:
        return "did you mean " + " or ".join(f"'{one}'" for one in ours) + "?"
    return ELSEWHERE.get(name)

"""Typed keywords: the settings of each way of running a chain, the options of stages.

Made from `chainlang.settings` and `chainlang.ir.builtins` by ``python -m tests.project.keywords``;
a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from decimal import Decimal
from os import PathLike
from typing import Any, Literal, TypedDict

from chainlang.engines.protocol import Engine
from chainlang.models.declaration import Declaration
from chainlang.runtime.outcome import Outcome
from chainlang.settings import CacheMode, Format, OnError


class CallKeywords(TypedDict, total=False):
    """Keywords of a call."""

    model: str
    """model of each stage that names none"""
    auto_model: str
    """model that decides the values of `auto(...)` and `<AUTO>`; default: the first of the chain"""
    seed: int
    """seed of the run; the seed of each sample is derived from it"""
    run_date: str | date | None
    """date of the run, for chat templates that print it; default: that of its first start"""
    call_seconds: float | None
    """timeout of a request, including its retries"""
    row_seconds: float | None
    """timeout of a row, from its start"""
    row_calls: int | None
    """maximum number of samples of a row; a row that needs more fails"""
    row_tokens: int | None
    """token budget of a row, prompts and replies; once it is used up, the row fails at its next
    request"""
    row_cost: float | Decimal | None
    """budget of a row in dollars, as `row_tokens`; each model needs a price"""
    patience: float
    """seconds to keep trying a model that is unavailable, before the rows that need it fail"""
    memory: int | str | None
    """memory for all loaded models together, such as 8GiB; default: all of the device"""
    cache: CacheMode
    """sample cache, shared by all runs: off, read, write (read and store), refresh (resample and
    store)"""
    cache_folder: str | PathLike[str] | None
    """folder of the sample cache; default: in the user's cache folder"""
    cache_bytes: int
    """maximum size of the sample cache; the least recently used samples are evicted"""
    cache_redis: str | None
    """Redis server that shares the sample cache with other machines"""
    cache_seconds: float | None
    """age from which a sample in the cache is not used any more, and is removed; default: none"""
    cache_shared_bytes: int | None
    """maximum size of the sample cache in Redis or PostgreSQL; the least recently used samples are
    evicted; default: none"""
    store: str | None
    """PostgreSQL database with the journals of runs, and the sample cache that machines share"""
    limits_redis: str | None
    """Redis server that shares the rate limits of models with other processes"""
    use_warm: bool | None
    """use models of `chainlang warmup` that have equal settings; default: true in a shell"""
    openai_base_url: str | None
    """base URL of the server for each `openai` model that has none of its own"""
    openai_api_key: str | None
    """API key for `openai_base_url`; it is sent nowhere else"""
    allowed_hosts: str | Collection[str]
    """hosts that a `.chain` file may send prompts to, besides this machine, OpenAI and Anthropic"""
    engine: Engine | Mapping[str, Engine] | None
    """engine of all models, or of each by its name; default: the engine that each model declares"""
    models: Mapping[str, Declaration | str] | None
    """declarations of models by name, for this run; they go before all others"""
    outputs: str | Collection[str] | None
    """outputs of each result: `answer`, `candidates`, `trace`, `history` or labels of the chain;
    work that only the rest needs is skipped; default: all"""
    passes: str | Collection[str] | None
    """optimizer passes to apply, which `explain` lists; default: all that change no result"""
    progress: bool | Callable[[str], object] | None
    """show the progress (true) or not (false), or callback(message): messages while models load,
    then each second of `map` and `run` a `Status`, a text with numbers; default: true in a
    notebook"""


class RowsKeywords(CallKeywords, total=False):
    """Keywords that `map`, `explain` and `run` share."""

    window: int
    """maximum number of rows in flight"""
    encoding: str | None
    """encoding of the files of rows, such as latin-1, cp1252 or utf-16; default: UTF-8"""
    delimiter: str | None
    """character between the cells of CSV; default: a comma, and a tab in .tsv files"""
    rename: Mapping[str, str]
    """new names of columns, in a shell one flag for each"""
    limit: int | None
    """maximum number of rows to read"""
    run_seconds: float | None
    """seconds after which the run stops, and can be resumed"""
    run_calls: int | None
    """number of samples after which the run stops, and can be resumed"""
    run_tokens: int | None
    """token budget of the run, prompts and replies; once it is used up, no request is sent and the
    run stops; what is in flight then, at most the rows of `window`, is counted beyond it"""
    run_cost: float | Decimal | None
    """budget of the run in dollars, as `run_tokens`; each model needs a price"""
    on_error: OnError
    """if a row fails: end with its error (raise), keep it as failed (collect), or drop it (skip)"""


class MapKeywords(RowsKeywords, total=False):
    """Keywords of `map`."""

    ordered: bool
    """yield results in the order of the rows; else as they finish"""


class ExplainKeywords(MapKeywords, total=False):
    """Keywords of `explain`."""

    analyze: bool
    """run the rows, and show the actual cost beside the prediction"""
    count_all: bool
    """count each row, where else some of more than 10,000 stand for the others"""


class RunKeywords(RowsKeywords, total=False):
    """Keywords of `run`."""

    format: Format
    """file format of the tables in a run folder"""
    on_row: Callable[[Outcome, float | None], object] | None
    """callback(outcome, expected_rows) after each row; expected_rows is None if it is unknown"""
    part_rows: int
    """number of input rows in each file of a table"""
    escape_formulas: bool
    """put an apostrophe before texts in CSV that a spreadsheet would compute: =, +, -, @ first"""
    overwrite: bool
    """replace an earlier run in the folder instead of resuming it"""
    analyze: bool
    """predict the cost, and show the actual cost beside the prediction"""
    retry_failed: bool
    """run the failed rows of the run in the folder again"""
    changed: bool
    """run a changed chain in the folder of the run before, and reuse the samples that are equal"""
    on: Literal["ray"] | None
    """cluster to run on: ray; each actor runs a shard with engines of its own"""
    ray_actors: int | None
    """number of shards of a run on Ray; default: those it had, or the number of GPUs or machines"""
    shard: tuple[int, int] | None
    """shard of the run: 3/32 runs each 32nd row from the third on; `chainlang merge` joins all"""


class SamplingOptions(TypedDict, total=False):
    """Options of a stage type that calls a model."""

    bad_words: str | Sequence[str]
    choices: bool
    cut: Literal["fail", "keep"]
    extra: Mapping[str, object]
    fallback_models: str | Sequence[str]
    frequency_penalty: float
    ignore_eos: bool
    include_stop: bool
    logit_bias: Mapping[str, float] | Mapping[int, float]
    logprobs: bool | int
    max_tokens: int | str
    min_p: float
    min_tokens: int
    models: str | Sequence[str]
    need: int | float
    of: str | Sequence[str]
    presence_penalty: float
    reasoning_tokens: int
    repetition_penalty: float
    samples: str
    stop: str | Sequence[str]
    stop_token_ids: int | Sequence[int]
    system: str
    template_args: Mapping[str, object]
    thinking_tokens: int
    tool_rounds: int
    tools: str | Callable[..., Any] | Sequence[str | Callable[..., Any]]
    top_k: int
    top_p: float


class GenerateOptions(SamplingOptions, total=False):
    """Options of a stage type that generates candidates."""

    fresh: bool


class OpSettings(GenerateOptions, total=False):
    """Settings of an op, besides its prompt."""

    answer: str
    budget: Mapping[str, int | float]
    choose: str
    continues: bool
    describe: str
    examples: str | Sequence[Mapping[str, object]]
    examples_count: int
    examples_order: Literal["given", "random"]
    images: str
    messages: str
    model: str
    prefix: str
    reasoning_tokens: int
    temperature: float


class VoteOptions(TypedDict, total=False):
    """Options of a vote."""

    by: str
    extract: str
    normalize: Literal["casefold", "number", "text"] | Callable[..., Any]
    of: str | Sequence[str]
    weight: Mapping[str, float]


class CodeOptions(TypedDict, total=False):
    """Options of a stage of programs."""

    inputs: Mapping[str, object]
    memory: int
    of: str | Sequence[str]
    output: int
    sandbox: Literal["monty", "bwrap"]
    seconds: float
    tests: str


class CodeSettings(TypedDict, total=False):
    """Settings of an op of the kind `code`."""

    answer: str
    inputs: Mapping[str, object]
    memory: int
    output: int
    sandbox: Literal["monty", "bwrap"]
    seconds: float
    tests: str

"""Typed keywords: the settings of each way of running a chain, the options of stages.

Made from `chainlang.settings` and `chainlang.ir.builtins` by ``python -m tests.project.keywords``;
a test holds them equal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from os import PathLike
from typing import Literal, TypedDict

from chainlang.engines.protocol import Engine
from chainlang.runtime.outcome import Outcome
from chainlang.settings import CacheMode, Format, OnError


class CallKeywords(TypedDict, total=False):
    """Keywords of a call."""

    model: str
    seed: int
    call_seconds: float | None
    row_seconds: float | None
    row_calls: int | None
    row_tokens: int | None
    patience: float
    memory: int | str | None
    cache: CacheMode
    cache_folder: str | PathLike[str] | None
    cache_bytes: int
    cache_redis: str | None
    openai_base_url: str | None
    openai_api_key: str | None
    allowed_hosts: str | Collection[str]
    engine: Engine | Mapping[str, Engine] | None
    outputs: str | Collection[str] | None
    passes: str | Collection[str] | None
    progress: Callable[[str], object] | None


class RowsKeywords(CallKeywords, total=False):
    """Keywords that `map`, `explain` and `run` share."""

    window: int
    limit: int | None
    run_seconds: float | None
    run_calls: int | None
    run_tokens: int | None
    on_error: OnError


class MapKeywords(RowsKeywords, total=False):
    """Keywords of `map`."""

    ordered: bool


class ExplainKeywords(MapKeywords, total=False):
    """Keywords of `explain`."""

    analyze: bool


class RunKeywords(RowsKeywords, total=False):
    """Keywords of `run`."""

    format: Format
    on_row: Callable[[Outcome, float | None], object] | None
    overwrite: bool
    analyze: bool
    retry_failed: bool
    changed: bool


class SamplingOptions(TypedDict, total=False):
    """Options of a stage type that calls a model."""

    frequency_penalty: float
    logprobs: bool
    max_tokens: int
    min_p: float
    min_tokens: int
    need: int
    presence_penalty: float
    repetition_penalty: float
    stop: str | Sequence[str]
    top_k: int
    top_p: float


class GenerateOptions(SamplingOptions, total=False):
    """Options of a stage type that generates candidates."""

    fresh: bool


class OpSettings(GenerateOptions, total=False):
    """Settings of an op, besides its prompt."""

    answer: str
    choose: str
    model: str
    system: str
    temperature: float


class VoteOptions(TypedDict, total=False):
    """Options of a vote."""

    by: str
    normalize: Literal["casefold", "number"]

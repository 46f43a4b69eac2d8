"""The model of all settings: of a file and the environment, and of each way of running."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveInt,
    PrivateAttr,
    SecretStr,
    StrictBool,
    ValidationError,
)

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.other_names import meant_by
from chainlang.diagnostics.suggest import unknown
from chainlang.errors import SettingError
from chainlang.settings.engine import is_engine, with_engine
from chainlang.settings.faults import misfit, too_wide, unknown_in
from chainlang.settings.setting import (
    ACTORS,
    ADDRESS,
    BYTES,
    CACHE,
    COUNT,
    ENCODING,
    ENGINES,
    FORMAT,
    MEMORY,
    MODELS,
    MONEY,
    ON,
    ON_ERROR,
    OVER_ROWS,
    PREFIX,
    PROGRESS,
    REDIS,
    RENAME,
    SHARD,
    STORE,
    TIME,
    TRUTH,
    Address,
    CacheMode,
    Cluster,
    Delimiter,
    Encoding,
    Engines,
    Folder,
    Format,
    Models,
    Money,
    Names,
    OnError,
    Patience,
    Progress,
    Renamed,
    RunDate,
    Seconds,
    Size,
    StoreAddress,
    Takes,
    Way,
)
from chainlang.settings.shard import OneShard
from chainlang.settings.sources import SettingsFile, Variable, settings_file, variables
from chainlang.tiny import NAME as TINY

DEFAULT_WINDOW = 256


class Settings(BaseModel):
    """Settings of every run, which a file or the environment can give; a call goes before both.

    A secret prints as stars.

    >>> MapSettings.of({"window": 8, "openai_api_key": "sk-1"})
    MapSettings(model='tiny', ..., window=8, ..., openai_api_key=SecretStr('**********'), ...)
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    way: ClassVar[Way]
    """The way of running that the settings are of."""

    model: Annotated[
        str, Field(min_length=1), Takes("the name of a model", "str", metavar="MODEL")
    ] = TINY
    """model of each stage that names none"""
    auto_model: Annotated[str, Takes("the name of a model", "str", metavar="MODEL")] = ""
    """model that decides the values of `auto(...)` and `<AUTO>`; default: the first of the chain"""
    seed: Annotated[int, Takes("an integer", "int", metavar="N")] = 0
    """seed of the run; the seed of each sample is derived from it"""
    run_date: Annotated[
        RunDate | None,
        Takes('a date: "2026-11-30"', "str | date", metavar="DATE"),
    ] = None
    """date of the run, for chat templates that print it; default: that of its first start"""
    window: Annotated[PositiveInt, COUNT.only(OVER_ROWS)] = DEFAULT_WINDOW
    """maximum number of rows in flight"""
    call_seconds: Annotated[Seconds | None, TIME] = None
    """timeout of a request, including its retries"""
    row_seconds: Annotated[Seconds | None, TIME] = None
    """timeout of a row, from its start"""
    row_calls: Annotated[PositiveInt | None, COUNT] = None
    """maximum number of samples of a row; a row that needs more fails"""
    row_tokens: Annotated[PositiveInt | None, COUNT] = None
    """token budget of a row, prompts and replies; once it is used up, the row fails at its next
    request"""
    row_cost: Annotated[Money | None, MONEY] = None
    """budget of a row in dollars, as `row_tokens`; each model needs a price"""
    patience: Annotated[Patience, Takes("a number of seconds ≥ 0", "float", metavar="SECONDS")] = (
        30.0
    )
    """seconds to keep trying a model that is unavailable, before the rows that need it fail"""
    memory: Annotated[Size | None, MEMORY] = None
    """memory for all loaded models together, such as 8GiB; default: all of the device"""
    format: Annotated[Format, FORMAT] = "jsonl"
    """file format of the tables in a run folder"""
    cache: Annotated[CacheMode, CACHE] = "off"
    """sample cache, shared by all runs: off, read, write (read and store), refresh (resample and
    store)"""
    cache_folder: Annotated[
        Folder | None, Takes("a folder", "str | PathLike[str]", metavar="FOLDER")
    ] = None
    """folder of the sample cache; default: in the user's cache folder"""
    cache_bytes: Annotated[PositiveInt, BYTES] = 1 << 30
    """maximum size of the sample cache; the least recently used samples are evicted"""
    cache_redis: Annotated[SecretStr | None, REDIS] = None
    """Redis server that shares the sample cache with other machines"""
    cache_seconds: Annotated[Seconds | None, TIME] = None
    """age from which a sample in the cache is not used any more, and is removed; default: none"""
    cache_shared_bytes: Annotated[PositiveInt | None, BYTES] = None
    """maximum size of the sample cache in Redis or PostgreSQL; the least recently used samples are
    evicted; default: none"""
    store: Annotated[StoreAddress | None, STORE] = None
    """PostgreSQL database with the journals of runs, and the sample cache that machines share"""
    limits_redis: Annotated[SecretStr | None, REDIS] = None
    """Redis server that shares the rate limits of models with other processes"""
    use_warm: Annotated[bool | None, TRUTH] = None
    """use models of `chainlang warmup` that have equal settings; default: true in a shell"""
    openai_base_url: Annotated[Address | None, ADDRESS] = None
    """base URL of the server for each `openai` model that has none of its own"""
    openai_api_key: Annotated[SecretStr | None, Takes("a text", "str", is_secret=True)] = None
    """API key for `openai_base_url`; it is sent nowhere else"""
    allowed_env: Annotated[
        Names,
        Takes("names; * stands for any characters", "str | Collection[str]", ways=frozenset()),
    ] = ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", f"{PREFIX}*KEY", f"{PREFIX}*URL")
    """environment variables that a `.chain` file may read; checked when the file is loaded"""
    allowed_hosts: Annotated[
        Names, Takes("names of hosts", "str | Collection[str]", metavar="HOSTS")
    ] = ()
    """hosts that a `.chain` file may send prompts to, besides this machine, OpenAI and Anthropic"""

    _file: SettingsFile = PrivateAttr(default_factory=SettingsFile)
    _of_file: frozenset[str] = PrivateAttr(default=frozenset())

    @property
    def file(self) -> str:
        """Path of the settings file in force; empty if there is none."""
        return self._file.path

    @property
    def of_file(self) -> frozenset[str]:
        """Names of the settings whose value is from the file: no call and no variable gives it."""
        return self._of_file

    @classmethod
    def of(cls, given: Mapping[str, Any], found: Iterable[Diagnostic] = ()) -> Self:
        """Return the settings of a call with these keywords.

        Raises `SettingError` for every unknown name and every invalid value, wherever they stand,
        after what was `found` in the call before.
        """
        file, said = settings_file(), variables(_OF_EVERY_RUN)
        plain = tuple((name, type(one), one) for name, one in given.items() if name != "engine")
        if found or not _is_hashable(plain) or not is_engine(given.get("engine")):
            return cls._validated(given, said, file, found)
        made = cls._kept(plain, tuple(said.items()), file, os.environ.get("HOME"))
        return with_engine(made, given["engine"]) if "engine" in given else made

    @classmethod
    @functools.lru_cache(maxsize=64)
    def _kept(
        cls,
        given: tuple[tuple[str, type, Any], ...],
        said: tuple[tuple[str, Variable], ...],
        file: SettingsFile,
        _home: str | None,  # a folder may begin with it
    ) -> Self:
        """Return the settings of equal calls, without an engine, which may be large."""
        return cls._validated({name: value for name, _, value in given}, dict(said), file)

    @classmethod
    def _validated(
        cls,
        given: Mapping[str, Any],
        said: Mapping[str, Variable],
        file: SettingsFile,
        found: Iterable[Diagnostic] = (),
    ) -> Self:
        known = {name: value for name, value in given.items() if name in cls.names()}
        written = {name: one for name, one in file.table.items() if name in Settings.model_fields}
        values = {name: one.value for name, one in said.items()}
        wrong = [*found, *unknown_in(file, _OF_EVERY_RUN)]
        wrong += (cls.unknown(name) for name in given if name not in known)
        try:
            made = cls.model_validate({**written, **values, **known})
            made._file, made._of_file = file, frozenset(written) - values.keys() - known.keys()
            if "allowed_env" in made.of_file:
                wrong += too_wide(made.allowed_env, file)
            names = dict[str, None]()
        except ValidationError as error:
            names = dict.fromkeys(str(one["loc"][0]) for one in error.errors())
        # A text may stand for a number in the environment, and not in Python.
        mistyped = (name for name, value in known.items() if not cls.takes()[name].admits(value))
        wrong += (
            misfit(cls.takes()[name], name, known, said, file)
            for name in {**names, **dict.fromkeys(mistyped)}
        )
        # Not within the `except`: the other error holds the values, and one may be a secret.
        if wrong:
            raise SettingError(wrong)
        return made

    @classmethod
    @functools.cache
    def takes(cls) -> Mapping[str, Takes]:
        """Return the metadata of each setting, in the order of the model."""
        return {
            name: next(one for one in field.metadata if isinstance(one, Takes))
            for name, field in cls.model_fields.items()
        }

    @classmethod
    @functools.cache
    def names(cls) -> frozenset[str]:
        """Return the names of the settings that this way of running takes."""
        return frozenset(name for name, takes in cls.takes().items() if cls.way in takes.ways)

    @classmethod
    def unknown(cls, name: str) -> Diagnostic:
        """Return the finding about a name that is no setting of this way of running."""
        others, known = ways_of(name), sorted(cls.names())
        hint = f"it is a setting of {others}" if others else meant_by(name, known)
        return unknown("setting", name, known, code="setting", of=f" of {cls.way.value}", hint=hint)


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


_OF_EVERY_RUN = frozenset(Settings.model_fields)


class RowSettings(Settings):
    """Settings that only a call can give, of every way of running."""

    engine: Annotated[Engines | None, ENGINES] = None
    """engine of all models, or of each by its name; default: the engine that each model declares"""
    models: Annotated[Models | None, MODELS] = None
    """declarations of models by name, for this run; they go before all others"""
    outputs: Annotated[
        Names | None, Takes("names of outputs", "str | Collection[str]", metavar="NAMES")
    ] = None
    """outputs of each result: `answer`, `candidates`, `trace`, `history` or labels of the
    chain; work that only the rest needs is skipped; default: all"""
    passes: Annotated[
        Names | None,
        Takes(
            "names of passes; () for none",
            "str | Collection[str]",
            metavar="NAMES",
            in_shell="names of passes with commas between them; '' for none",
        ),
    ] = None
    """optimizer passes to apply, which `explain` lists; default: all that change no result"""
    encoding: Annotated[Encoding | None, ENCODING] = None
    """encoding of the files of rows, such as latin-1, cp1252 or utf-16; default: UTF-8"""
    delimiter: Annotated[
        Delimiter | None, Takes("one character", "str", OVER_ROWS, metavar="CHARACTER")
    ] = None
    """character between the cells of CSV; default: a comma, and a tab in .tsv files"""
    rename: Annotated[Renamed, RENAME] = ()
    """new names of columns, in a shell one flag for each"""
    limit: Annotated[PositiveInt | None, COUNT.only(OVER_ROWS)] = None
    """maximum number of rows to read"""
    run_seconds: Annotated[Seconds | None, TIME.only(OVER_ROWS)] = None
    """seconds after which the run stops, and can be resumed"""
    run_calls: Annotated[PositiveInt | None, COUNT.only(OVER_ROWS)] = None
    """number of samples after which the run stops, and can be resumed"""
    run_tokens: Annotated[PositiveInt | None, COUNT.only(OVER_ROWS)] = None
    """token budget of the run, prompts and replies; once it is used up, no request is sent and the
    run stops; what is in flight then, at most the rows of `window`, is counted beyond it"""
    run_cost: Annotated[Money | None, MONEY.only(OVER_ROWS)] = None
    """budget of the run in dollars, as `run_tokens`; each model needs a price"""
    on_error: Annotated[OnError, ON_ERROR] = "collect"
    """if a row fails: end with its error (raise), keep it as failed (collect), or drop it (skip)"""
    progress: Annotated[StrictBool | Progress | None, PROGRESS] = None
    """show the progress (true) or not (false), or callback(message): messages while models load,
    then each second of `map` and `run` a `Status`, a text with numbers; default: true in a
    notebook"""

    @property
    def say(self) -> Progress | None:
        """The callback of `progress`; None if there is none."""
        return self.progress if callable(self.progress) else None


class MapSettings(RowSettings):
    """Settings of `map`."""

    way = Way.MAP

    ordered: Annotated[bool, TRUTH.only(frozenset({Way.MAP}))] = True
    """yield results in the order of the rows; else as they finish"""


class CallSettings(MapSettings):
    """Settings of a call, which is a `map` over one row."""

    way = Way.CALL

    on_error: Annotated[OnError, ON_ERROR] = "raise"
    """if the row fails: raise its error, return a failed result (collect), or None (skip)"""


class ExplainSettings(MapSettings):
    """Settings of `explain`."""

    way = Way.EXPLAIN

    analyze: Annotated[bool, TRUTH] = False
    """run the rows, and show the actual cost beside the prediction"""
    count_all: Annotated[bool, TRUTH] = False
    """count each row, where else some of more than 10,000 stand for the others"""


class RunSettings(RowSettings):
    """Settings of `run`."""

    way = Way.RUN

    on_row: Annotated[
        Callable[[Any, float | None], Any] | None,
        Takes(
            "a function of two arguments",
            "Callable[[Outcome, float | None], object]",
            is_text=False,
        ),
    ] = None
    """callback(outcome, expected_rows) after each row; expected_rows is None if it is unknown"""
    part_rows: Annotated[PositiveInt, COUNT] = 10_000
    """number of input rows in each file of a table"""
    escape_formulas: Annotated[bool, TRUTH] = False
    """put an apostrophe before texts in CSV that a spreadsheet would compute: =, +, -, @ first"""
    overwrite: Annotated[bool, TRUTH] = False
    """replace an earlier run in the folder instead of resuming it"""
    analyze: Annotated[bool, TRUTH] = False
    """predict the cost, and show the actual cost beside the prediction"""
    retry_failed: Annotated[bool, TRUTH] = False
    """run the failed rows of the run in the folder again"""
    changed: Annotated[bool, TRUTH] = False
    """run a changed chain in the folder of the run before, and reuse the samples that are equal"""
    on: Annotated[Cluster | None, ON] = None
    """cluster to run on: ray; each actor runs a shard with engines of its own"""
    ray_actors: Annotated[PositiveInt | None, ACTORS] = None
    """number of shards of a run on Ray; default: those it had, or the number of GPUs or machines"""
    shard: Annotated[OneShard | None, SHARD] = None
    """shard of the run: 3/32 runs each 32nd row from the third on; `chainlang merge` joins all"""


WAYS: tuple[type[Settings], ...] = (CallSettings, MapSettings, ExplainSettings, RunSettings)
"""The settings of each way of running."""
NAMES = frozenset().union(*(one.names() for one in WAYS))
"""The names of all settings that a call can give, whatever the way of running."""


def ways_of(name: str) -> str:
    """Return the ways of running that take a setting, as words; empty if there is none.

    >>> ways_of("overwrite"), ways_of("window"), ways_of("windw")
    ('run()', 'map(), explain() and run()', '')
    """
    *others, last = [one.way.value for one in WAYS if name in one.names()] or [""]
    return f"{', '.join(others)} and {last}" if others else last

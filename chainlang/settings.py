"""What a user may set for a run: in a file, in the environment, or in the call, which wins.

The file is ``chainlang.toml``, or the table ``[tool.chainlang]`` of ``pyproject.toml``, in the
current folder or the nearest one around it that has either. In the environment a setting is called
``CHAINLANG_`` and its name in capitals. What is wrong is said when something runs.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias

from attrs import frozen
from pydantic import (
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    HttpUrl,
    PositiveInt,
    SecretStr,
    ValidationError,
)

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.diagnostics.suggest import closest
from chainlang.errors import SettingError
from chainlang.tiny import NAME as TINY

PREFIX = "CHAINLANG_"
DEFAULT_WINDOW = 256
_TOML = 'a line is a name and a value, and a text has quotes: model = "tiny"'
Format: TypeAlias = Literal["jsonl", "csv", "parquet"]
CacheMode: TypeAlias = Literal["off", "read", "write", "refresh"]
Progress: TypeAlias = Callable[[str], None]


@frozen
class Takes:
    """In words, what a setting takes: for its errors, and for the table of all settings."""

    words: str
    secret: bool = False
    """Whether its value is never shown."""


def _listed(value: object) -> object:
    """Split a text at its commas, so that a variable can hold a list."""
    if isinstance(value, str):
        return [part for one in value.split(",") if (part := one.strip())]
    return value


def _engine(value: Any) -> Any:
    several = value.values() if isinstance(value, Mapping) else [value]
    if all(hasattr(one, "submit") and not isinstance(one, type) for one in several):
        return value
    raise ValueError("no engine")


_Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
_COUNT = Takes("a whole number of at least 1")
_FUNCTION = Takes("a function")
_TRUTH = Takes("true or false")
_TIME = Takes("seconds, of more than 0")
_Patience = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseModel):
    """What holds for every run, until a call says otherwise. A secret in it prints as stars.

    >>> MapSettings.of({"window": 8, "openai_api_key": "sk-1"})
    MapSettings(model='tiny', seed=0, window=8, ..., openai_api_key=SecretStr('**********'), ...)
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    door: ClassVar[str]
    """What was called, for errors."""
    foreign: ClassVar[frozenset[str]] = frozenset()
    """Settings that have no meaning there; in a file or in the environment they do no harm."""

    model: Annotated[str, Field(min_length=1), Takes("the name of a model")] = TINY
    """the model of every stage that names none"""
    seed: Annotated[int, Takes("a whole number")] = 0
    """the seed of the run, from which every sample's follows"""
    window: Annotated[PositiveInt, _COUNT] = DEFAULT_WINDOW
    """rows in flight at most"""
    call_seconds: Annotated[_Seconds | None, _TIME] = None
    """how long a call may take, asking again included"""
    row_seconds: Annotated[_Seconds | None, _TIME] = None
    """how long a row may take, from when it is begun"""
    row_calls: Annotated[PositiveInt | None, _COUNT] = None
    """how many calls a row may make"""
    row_tokens: Annotated[PositiveInt | None, _COUNT] = None
    """how many tokens a row may use, read and written, before it asks for more"""
    patience: Annotated[_Patience, Takes("seconds, of at least 0")] = 30.0
    """how many seconds a model that does not answer is waited for, before what needs it fails"""
    memory: Annotated[
        Annotated[ByteSize, Field(gt=0)] | None, Takes('bytes, or an amount: "8 GiB"')
    ] = None
    """how much the models that are loaded may hold together; all that the device has, if not set"""
    format: Annotated[Format, Takes("jsonl, csv or parquet")] = "jsonl"
    """of the tables in a run folder"""
    cache: Annotated[CacheMode, Takes("off, read, write or refresh")] = "off"
    """what any run drew: not used, taken, kept as well, or drawn again and kept"""
    cache_folder: Annotated[Path | None, Takes("a folder")] = None
    """where that is kept, if not in the user's folder of caches"""
    cache_bytes: Annotated[PositiveInt, Takes("a number of bytes, of at least 1")] = 1 << 30
    """how large it may be; what was used least lately goes"""
    cache_redis: Annotated[
        SecretStr | None, Takes('an address: "redis://host:6379/0"', secret=True)
    ] = None
    """a Redis that shares it with other machines"""
    openai_base_url: Annotated[HttpUrl | None, Takes('an address: "http://host:8000/v1"')] = None
    """where an `openai` model is asked that names no address itself"""
    openai_api_key: Annotated[SecretStr | None, Takes("a text", secret=True)] = None
    """the key that goes to that address, and to no other"""
    allowed_env: Annotated[_Names, Takes("names; * stands for any characters")] = (
        "OPENAI_API_KEY",
        f"{PREFIX}*",
    )
    """the environment variables that a `.chain` file may read; it is checked when it is read"""
    allowed_hosts: Annotated[_Names, Takes("names of hosts")] = ()
    """the hosts that a `.chain` file may send prompts to, besides this machine and OpenAI"""

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Return the settings of a call that was given these.

        Raises `SettingError` for every name that there is not and every value that does not fit,
        wherever they stand.
        """
        file, variables = _file(), _variables()
        known = {name: value for name, value in given.items() if name in cls.names()}
        said = {name: os.environ[variable] for name, variable in variables.items()}
        wrong = [*file.unknown(), *(cls._unknown(name) for name in given if name not in known)]
        try:
            made = cls.model_validate({**file.known(), **said, **known})
        except ValidationError as error:
            names = dict.fromkeys(str(one["loc"][0]) for one in error.errors())
            wrong += (cls._misfit(name, known, variables, file) for name in names)
        # Not within the `except`: the other error holds the values, and one may be a secret.
        if wrong:
            raise SettingError(wrong)
        return made

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the names of the settings that this call may be given."""
        return frozenset(cls.model_fields) - cls.foreign

    @classmethod
    def _unknown(cls, name: str) -> Diagnostic:
        """Return the finding about a setting that this call does not have."""
        message = f"{cls.door} has no setting {shown(name)}"
        others = [one.door for one in (MapSettings, RunSettings) if name in one.names()]
        hint = f"it is one of {others[0]}" if others else _meant(name, cls.names())
        return Diagnostic("setting", message, hint=hint)

    @classmethod
    def _misfit(
        cls, name: str, given: Mapping[str, Any], variables: Mapping[str, str], file: _File
    ) -> Diagnostic:
        """Return the finding about a value, named by the place that it comes from."""
        field = cls.model_fields[name]
        takes = next(one for one in field.metadata if isinstance(one, Takes))
        if name in given:
            value, where = given[name], name
        elif name in variables:
            value, where = os.environ[variables[name]], f"{variables[name]} in the environment"
        else:
            value, where = file.table[name], f"{name} in {file.name}"
        what = f"{where} can't be {'what it is' if takes.secret else shown(value)}"
        return Diagnostic("setting", what, hint=f"it takes {takes.words}")


class RowSettings(Settings):
    """The settings that `map` and `run` share, and that only a call can say."""

    engine: Annotated[
        Annotated[Any, BeforeValidator(_engine)] | None,
        Takes("an engine, or a mapping from models to engines"),
    ] = None
    """who answers for every model, or for each by name; else what the models name is opened"""
    outputs: Annotated[_Names | None, Takes("names of outputs")] = None
    """what of each result is looked at: `answer`, `candidates`, `trace`, `history` or names of
    parts; the rest need not be made"""
    passes: Annotated[_Names | None, Takes("names of passes, or () for none")] = None
    """which passes of the optimizer work on the plan; those that change no result by default"""
    limit: Annotated[PositiveInt | None, _COUNT] = None
    """how many rows to take at most"""
    run_seconds: Annotated[_Seconds | None, _TIME] = None
    """how long all rows may take, until it stops"""
    run_calls: Annotated[PositiveInt | None, _COUNT] = None
    """how many calls may be made for all rows, until it stops"""
    run_tokens: Annotated[PositiveInt | None, _COUNT] = None
    """how many tokens may be used for all rows, until no more is asked and it stops"""
    on_error: Annotated[
        Literal["raise", "collect", "skip"], Takes("'raise', 'collect' or 'skip'")
    ] = "collect"
    """what a failed row does: end it all, come out as failed, or be left out; a call raises"""
    progress: Annotated[Progress | None, _FUNCTION] = None
    """is told what happens while a model loads"""


class MapSettings(RowSettings):
    """The settings of `map`."""

    door = "map()"
    foreign = frozenset({"allowed_env", "format"})

    ordered: Annotated[bool, _TRUTH] = True
    """whether results come in the order of the rows, or as they finish"""


class RunSettings(RowSettings):
    """The settings of `run`."""

    door = "run()"
    foreign = frozenset({"allowed_env"})

    on_row: Annotated[Callable[[Any, float | None], None] | None, _FUNCTION] = None
    """is told of each `Outcome`, and how many rows there will be, as far as that is known"""
    overwrite: Annotated[bool, _TRUTH] = False
    """whether a run that is in the folder is replaced"""
    analyze: Annotated[bool, _TRUTH] = False
    """whether what it costs is predicted, and told beside what it came to"""
    retry_failed: Annotated[bool, _TRUTH] = False
    """whether the rows that failed in the folder's run are drawn again, in their places"""
    changed: Annotated[bool, _TRUTH] = False
    """whether another run that is in the folder is gone on with, as far as its samples still fit"""


@frozen
class _File:
    """The file of settings that holds here: its name for people, and what stands in it."""

    name: str = ""
    table: Mapping[str, Any] = {}

    def known(self) -> dict[str, Any]:
        """Return what is a setting."""
        return {name: one for name, one in self.table.items() if name in Settings.model_fields}

    def unknown(self) -> Iterator[Diagnostic]:
        """Yield a finding for each name that is no setting."""
        for name in self.table:
            if name in Settings.model_fields:
                continue
            what = f"there is no setting {shown(name)}, in {self.name}"
            yield Diagnostic("setting", what, hint=_meant(name, Settings.model_fields))


def _variables() -> dict[str, str]:
    """Return the variables of the environment that say something, by the settings they are of."""
    found = {}
    for variable in os.environ:
        prefix, name = variable[: len(PREFIX)], variable[len(PREFIX) :].lower()
        if prefix.upper() == PREFIX and name in Settings.model_fields and os.environ[variable]:
            found[name] = variable
    return found


def _file() -> _File:
    """Return the nearest file of settings, going up from the current folder."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        own, project = folder / "chainlang.toml", folder / "pyproject.toml"
        if own.is_file():
            return _File(_named(own), _read(own))
        if project.is_file():
            match _read(project):
                case {"tool": {"chainlang": dict(table)}}:
                    return _File(f"[tool.chainlang] of {_named(project)}", table)
    return _File()


def _named(path: Path) -> str:
    return path.name if path.parent == Path.cwd() else str(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        return _parsed(path.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{_named(path)}: {error.strerror or 'this file can not be read'}"
    except ValueError as error:  # no TOML, or no UTF-8
        message = f"{_named(path)}: this is no TOML: {error}"
    raise SettingError([Diagnostic("setting", message, hint=_TOML)])


@lru_cache(maxsize=8)  # a millisecond, for a file of a hundred lines
def _parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


def _meant(name: str, known: Iterable[str]) -> str:
    near = closest(name, known)
    return f"did you mean '{near}'?" if near else f"there are {', '.join(sorted(known))}"

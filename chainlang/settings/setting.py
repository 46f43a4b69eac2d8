"""Metadata of a setting, and the types of settings that are not Python's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from attrs import evolve, frozen
from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, SecretStr

from chainlang.settings import address, shard
from chainlang.settings.engine import is_engine

PREFIX = "CHAINLANG_"
"""Prefix of the environment variables that hold settings."""
Format: TypeAlias = Literal["jsonl", "csv", "parquet"]
CacheMode: TypeAlias = Literal["off", "read", "write", "refresh"]
Cluster: TypeAlias = Literal["ray"]
OnError: TypeAlias = Literal["raise", "collect", "skip"]
Progress: TypeAlias = Callable[[str], None]


class Way(Enum):
    """Way of running a chain."""

    CALL = "a call"
    MAP = "map()"
    EXPLAIN = "explain()"
    RUN = "run()"


OVER_ROWS = frozenset({Way.MAP, Way.EXPLAIN, Way.RUN})
"""The ways of running that read a source of rows."""


@frozen
class Takes:
    """Metadata of a setting: what it takes, where it can be given."""

    words: str
    """The values that it takes, for errors and tables: of Python, a file and the environment."""
    python: str
    """The type of the keyword, without None: as it stands in `chainlang.api.keywords`."""
    ways: frozenset[Way] = frozenset(Way)
    """The ways of running that take the setting, as far as their class has it."""
    metavar: str = ""
    """Name of the value in the help of a flag."""
    in_shell: str = ""
    """The values that its flag takes, where they are written in another way than `words` says."""
    is_secret: bool = False
    """Whether its value is never shown."""
    is_text: bool = True
    """Whether it can be written as text: in a shell, a file or the environment."""
    of_flag: Callable[[str], str] | None = None
    """Function from a secret to why it can't stand in the arguments of a process, which other users
    can read; empty if it can, and None if there is no flag."""
    why: Callable[[object], str] = lambda _: ""
    """Function from a wrong value to what is wrong with it, for errors; empty if that is plain."""

    @property
    def has_flag(self) -> bool:
        """Whether a command has a flag for it; the arguments of a process are no secret."""
        return self.is_text and (not self.is_secret or self.of_flag is not None)

    def admits(self, value: object) -> bool:
        """Return whether a value of Python is a number or a truth value, where one is due."""
        match self.python:
            case "bool":
                return isinstance(value, bool)
            case "int" | "float":
                return value is None or not isinstance(value, str | bool)
        return True

    def only(self, ways: frozenset[Way]) -> Takes:
        """Return the same for a setting that only these ways of running take."""
        return evolve(self, ways=ways)


def _listed(value: object) -> object:
    """Split a text at its commas, so that a variable can hold a list."""
    if isinstance(value, str):
        return [part for one in value.split(",") if (part := one.strip())]
    return value


def _engine(value: object) -> object:
    if is_engine(value):
        return value
    raise ValueError("no engine")


def _models(value: object) -> object:
    """Return declarations of models by name; in a shell ``NAME=MODEL`` for each."""
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and all(isinstance(one, str) and "=" in one for one in texts):
        value = {name: one for name, _, one in (text.partition("=") for text in texts)}
    named = value if isinstance(value, Mapping) else {"": None}
    if not all(_is_model(name, one) for name, one in named.items()):
        raise ValueError("no models")
    return value


def _is_model(name: object, one: object) -> bool:
    """Return whether a name and its meaning may be a model: a declaration, or another name."""
    is_named = isinstance(name, str) and name and one != name
    return bool(
        is_named
        and (hasattr(one, "item") or hasattr(one, "strategy") or (isinstance(one, str) and one))
    )


def _address(value: str) -> str:
    if address.wrong(value) is not None:
        raise ValueError("no address")
    return address.trimmed(value)


def _address_fault(value: object) -> str:
    fault = address.wrong(value) if isinstance(value, str) else None
    return "" if fault is None else f"it {fault.what}"


def _home(value: Path) -> Path:
    try:
        return value.expanduser()
    except RuntimeError:  # there is no such user
        raise ValueError("no home folder") from None


FROM_ENV = r"""\s*env\(\s*["']?(\w+)["']?\s*\)\s*"""
"""Pattern of a secret that is in a variable of the environment: ``env("NAME")``."""


def _store(value: object) -> object:
    """Return an address of PostgreSQL, or the name of a variable; others are refused."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if isinstance(text, str) and re.match(rf"postgres(ql)?://|{FROM_ENV}\Z", text):
        return value
    raise ValueError("no address")


def _store_fault(value: object) -> str:
    if isinstance(value, str) and (found := re.match(r"(\w+)(\+\w+)?://", value)):
        if found[2]:
            return f"leave out the driver: {found[1]}://, without {found[2]}"
        return f"{found[0]} is the address of something else"
    return ""


def _has_password(text: str) -> str:
    """Return why an address can't be an argument of a process; empty if it has no password."""
    if re.search(r"://[^/?#]*:.*@|[?&]\w*password=", text):
        return "has a password, which other users can read in the arguments of a process"
    return ""


def _with_unit(value: object) -> object:
    """Return a size; a text that is a small number, written for another unit than bytes, fails."""
    if isinstance(value, str) and value.isdecimal() and int(value) < 1 << 20:
        raise ValueError("no unit")
    return value


def _size_fault(value: object) -> str:
    if isinstance(value, str) and value.isdecimal():
        return f"{value} has no unit: write {value}GiB, or {value}B if bytes are meant"
    return ""


StoreAddress = Annotated[SecretStr, BeforeValidator(_store)]
Folder = Annotated[Path, AfterValidator(_home)]
Address = Annotated[str, AfterValidator(_address)]


def _encoding(value: str) -> str:
    """Return the name of an encoding of text that Python knows."""
    "".encode(value)  # raises `LookupError` for a name that is none, or of no text
    return value


def _encoding_or_error(value: object) -> object:
    try:
        return _encoding(value) if isinstance(value, str) else value
    except LookupError as error:
        raise ValueError(str(error)) from error


def _delimiter(value: object) -> object:
    named = {"tab": "\t", "\\t": "\t"}
    value = named.get(value, value) if isinstance(value, str) else value
    if isinstance(value, str) and (len(value) != 1 or value in '"\r\n'):
        raise ValueError("not one character")
    return value


def _renamed(value: object) -> object:
    """Split texts at the last equals sign, since the name of a column may have one."""
    texts = [value] if isinstance(value, str) else value
    if isinstance(texts, list) and all(isinstance(one, str) and "=" in one for one in texts):
        value = {old: new for old, _, new in (one.rpartition("=") for one in texts)}
    return tuple(value.items()) if isinstance(value, Mapping) else value


Encoding = Annotated[str, BeforeValidator(_encoding_or_error)]
Delimiter = Annotated[str, BeforeValidator(_delimiter)]
Renamed = Annotated[tuple[tuple[str, str], ...], BeforeValidator(_renamed)]


def _money(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("no number")
    return repr(value) if isinstance(value, float) else value


def _date(value: object) -> object:
    if isinstance(value, str | date):  # pydantic takes a number as seconds since 1970
        return value
    raise ValueError("no date")


RunDate = Annotated[date, BeforeValidator(_date)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
Models = Annotated[Any, BeforeValidator(_models)]
Engines = Annotated[Any, BeforeValidator(_engine)]
Patience = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Money = Annotated[Decimal, BeforeValidator(_money), Field(gt=0, allow_inf_nan=False)]
Size = Annotated[ByteSize, Field(gt=0), BeforeValidator(_with_unit)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

REDIS = Takes('an address: "redis://host:6379/0"', "str", is_secret=True)
STORE = Takes(
    'an address: "postgresql://host/database", or env("NAME") for one in a variable',
    "str",
    metavar="ADDRESS",
    is_secret=True,
    of_flag=_has_password,
    why=_store_fault,
)
ADDRESS = Takes(f'an address: "{address.EXAMPLE}"', "str", metavar="URL", why=_address_fault)
COUNT = Takes("an integer ≥ 1", "int", metavar="N")
MODELS = Takes(
    'a mapping, {"small": models.vllm("..."), "big": "openai:gpt-4o"}',
    "Mapping[str, Declaration | str]",
    metavar="NAME=MODEL",
    in_shell="NAME=MODEL, as in --models small=openai:gpt-4o-mini, or --models 'small=fake(\"x\")'",
)
MONEY = Takes("a number of dollars > 0", "float | Decimal", metavar="DOLLARS")
ENGINES = Takes(
    "an engine, or a mapping from models to engines",
    "Engine | Mapping[str, Engine]",
    is_text=False,
)
ENCODING = Takes('the name of an encoding: "latin-1"', "str", OVER_ROWS, metavar="NAME")
TRUTH = Takes("true or false", "bool")
TIME = Takes("a number of seconds > 0", "float", metavar="SECONDS")
ON_ERROR = Takes("raise, collect or skip", "OnError", metavar="raise|collect|skip")
SHARD = Takes(
    "a number and how many there are: (3, 32)",
    "tuple[int, int]",
    metavar="I/N",
    in_shell="a number and how many there are, as in --shard 3/32",
    why=shard.fault,
)
ON = Takes('"ray"', 'Literal["ray"]', is_text=False)
ACTORS = Takes("an integer ≥ 1", "int", is_text=False)
BYTES = Takes("a number of bytes ≥ 1", "int", metavar="BYTES")
MEMORY = Takes(
    'a number of bytes, or an amount: "8 GiB"',
    "int | str",
    metavar="SIZE",
    in_shell="an amount, such as 8GiB",
    why=_size_fault,
)
CACHE = Takes("off, read, write or refresh", "CacheMode", metavar="off|read|write|refresh")
RENAME = Takes(
    'new names by the old ones: {"Question Text": "question"}',
    "Mapping[str, str]",
    OVER_ROWS,
    metavar="OLD=NEW",
    in_shell="OLD=NEW, as in --rename 'Question Text=question'",
)
PROGRESS = Takes(
    "true, false, or a function of one argument", "bool | Callable[[str], object]", is_text=False
)
FORMAT = Takes(
    "jsonl, csv or parquet",
    "Format",
    metavar="jsonl|csv|parquet",
    ways=frozenset({Way.RUN}),
)

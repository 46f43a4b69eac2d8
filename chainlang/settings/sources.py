"""Sources of settings besides a call: variables of the environment, and a file.

The file is ``chainlang.toml``, or the table ``[tool.chainlang]`` of ``pyproject.toml``, in the
current folder or the nearest one around it that has either. In the environment a setting is called
``CHAINLANG_`` and its name in capitals.
"""

from __future__ import annotations

import os
import stat
import sys
import time
import tomllib
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import SettingError
from chainlang.settings.setting import PREFIX

OWN = "chainlang.toml"
"""Name of a file that has nothing but settings."""
_TOML = 'a line is a name and a value, and a text has quotes: model = "tiny"'


Version = tuple[int, int, int, int, int, int, int]
"""Owner, mode, device, inode, size, and the times of the last changes of file and inode."""

_SETTLED = 2 * 10**9
"""Nanoseconds. A file that was just written may be written again without another time of change,
so what it says is remembered only once this has passed."""


@frozen(eq=False)
class SettingsFile:
    """The file of settings that holds in the current folder: one object, until it changes."""

    path: str = ""
    table: Mapping[str, Any] = {}
    part: str = ""
    """The table of the file that has the settings, where that is not all of it."""

    @property
    def name(self) -> str:
        """The name of the file, for errors."""
        return f"[{self.part}] of {_named(self.path)}" if self.part else _named(self.path)


NO_FILE = SettingsFile()


@frozen
class Variable:
    """A variable of the environment that is set, and holds a setting."""

    name: str
    value: str


def variables(names: Collection[str]) -> dict[str, Variable]:
    """Return the variables of the environment that are set, by the settings they are of."""
    found = {one[len(PREFIX) :].lower(): Variable(one, os.environ[one]) for one in _ours()}
    return {name: one for name, one in found.items() if one.value and name in names}


def _ours() -> list[str]:
    """Return the names of variables that begin with the prefix, in small letters or capitals."""
    if sys.platform == "win32":
        return [one for one in os.environ if _is_ours(one.encode())]
    # Each call asks. To go through all names takes twenty times as long as to see that they are
    # those of the last call, in the table that `os.environ` stands on.
    table = getattr(os.environ, "_data", None)
    if table is not None and table == _LAST.table:
        return _LAST.ours
    ours = [os.fsdecode(one) for one in os.environb if one[:1] in _FIRST and _is_ours(one)]
    if table is not None:
        _LAST.table, _LAST.ours = dict(table), ours
    return ours


@define
class _Environment:
    """The environment of the last call, and the names in it that are settings."""

    table: dict[bytes, bytes] | None = None
    ours: list[str] = field(factory=list)


_LAST = _Environment()
_PREFIX = PREFIX.encode()
_FIRST = (_PREFIX[:1], _PREFIX[:1].lower())


def _is_ours(name: bytes) -> bool:
    return name[: len(_PREFIX)].upper() == _PREFIX


def settings_file() -> SettingsFile:
    """Return the nearest file of settings, going up from the current folder."""
    # Each call asks, and most folders have neither: `access` raises no exception.
    paths = _candidates(os.getcwd())  # noqa: PTH109
    for path in [one for one in paths if os.access(one, os.F_OK)]:
        if (version := version_of(path)) is None:
            continue
        if path.endswith(OWN):
            check_owner(path, version)  # before it is read
            return _read(path, version)
        if (found := _read(path, version)) is not NO_FILE:
            check_owner(path, version)
            return found
    return NO_FILE


@lru_cache(maxsize=8)
def _candidates(here: str) -> tuple[str, ...]:
    """Return the paths of both kinds of file in a folder and in those around it."""
    folders = (Path(here), *Path(here).parents)
    return tuple(str(one / name) for one in folders for name in (OWN, "pyproject.toml"))


def _named(path: str) -> str:
    return Path(path).name if Path(path).parent == Path.cwd() else path


def version_of(path: str) -> Version | None:
    """Return the state of a file that is there; None if there is no such file."""
    try:
        now = os.stat(path)  # noqa: PTH116  # asked for by each call
    except OSError:
        return None
    if not stat.S_ISREG(now.st_mode):
        return None
    owner, times = (now.st_uid, now.st_mode), (now.st_mtime_ns, now.st_ctime_ns)
    return *owner, now.st_dev, now.st_ino, now.st_size, *times


def check_owner(path: str, version: Version) -> None:
    """Raise if another user owns or can write a file, which says where prompts and keys go."""
    if sys.platform == "win32":
        return
    owner, mode, *_ = version
    if owner not in (os.geteuid(), 0):
        message = f"{_named(path)} belongs to another user (uid {owner}), so it is not read"
        hint = f"make the file yours: chown {os.geteuid()} {path}; or move it away"
    elif mode & stat.S_IWOTH:
        message = f"{_named(path)} can be written by every user, so it is not read"
        hint = f"take that right away: chmod o-w {path}"
    else:
        return
    raise SettingError([Diagnostic("setting", message, hint=hint)])


def _read(path: str, version: Version) -> SettingsFile:
    """Return the settings of a file, as they were read before, if it has not changed since.

    A file of a project that has none is `NO_FILE`.
    """
    known = _KNOWN.get(path)
    if known is not None and known[0] == version:
        return known[1]
    try:
        table = _parsed(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{_named(path)}: {error.strerror or 'this file can not be read'}"
    except ValueError as error:  # no TOML, or no UTF-8
        message = f"{_named(path)}: this is no TOML: {error}"
    except RecursionError:
        message = f"{_named(path)}: this is no TOML: its brackets are nested too deep"
    else:
        found = _settings_in(path, table)
        if time.time_ns() - max(version[-2:]) > _SETTLED:
            if len(_KNOWN) >= _MOST:
                _KNOWN.clear()
            _KNOWN[path] = (version, found)
        return found
    raise SettingError([Diagnostic("setting", message, hint=_TOML)])


def _settings_in(path: str, table: dict[str, Any]) -> SettingsFile:
    if path.endswith(OWN):
        return SettingsFile(path, table)
    match table:
        case {"tool": {"chainlang": dict(own)}}:
            return SettingsFile(path, own, "tool.chainlang")
    return NO_FILE


_KNOWN: dict[str, tuple[Version, SettingsFile]] = {}
_MOST = 8


@lru_cache(maxsize=8)  # a millisecond, for a file of a hundred lines
def _parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text)

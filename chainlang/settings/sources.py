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

from attrs import frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import SettingError
from chainlang.settings.setting import PREFIX

_TOML = 'a line is a name and a value, and a text has quotes: model = "tiny"'


_Version = tuple[int, int, int, int, int, int, int]
"""Owner, mode, device, inode, size, and the times of the last changes of file and inode."""

_SETTLED = 2 * 10**9
"""Nanoseconds. A file that was just written may be written again without another time of change,
so what it says is remembered only once this has passed."""


@frozen
class SettingsFile:
    """The file of settings that holds in the current folder."""

    path: str = ""
    table: Mapping[str, Any] = {}
    part: str = ""
    """The table of the file that has the settings, where that is not all of it."""

    @property
    def name(self) -> str:
        """The name of the file, for errors."""
        return f"[{self.part}] of {_named(self.path)}" if self.part else _named(self.path)


def variables(names: Collection[str]) -> dict[str, str]:
    """Return the variables of the environment that are set, by the settings they are of."""
    named = {one[len(PREFIX) :].lower(): one for one in _ours() if os.environ[one]}
    return {name: one for name, one in named.items() if name in names}


def _ours() -> list[str]:
    """Return the names of variables that begin with the prefix, in small letters or capitals."""
    length = len(PREFIX)
    if sys.platform == "win32":
        return [one for one in os.environ if one[:length].upper() == PREFIX]
    # Each call asks. `os.environ` would decode every name, which takes five times as long.
    prefix = PREFIX.encode()
    return [os.fsdecode(one) for one in os.environb if one[:length].upper() == prefix]


def settings_file() -> SettingsFile:
    """Return the nearest file of settings, going up from the current folder."""
    for own, project in _candidates(os.getcwd()):  # noqa: PTH109  # asked for by each call
        if (version := _version(own)) is not None:
            _check_owner(own, version)
            return SettingsFile(own, _read(own, version))
        if (version := _version(project)) is not None:
            match _read(project, version):
                case {"tool": {"chainlang": dict(table)}}:
                    _check_owner(project, version)
                    return SettingsFile(project, table, "tool.chainlang")
    return SettingsFile()


@lru_cache(maxsize=8)
def _candidates(here: str) -> tuple[tuple[str, str], ...]:
    """Return the paths of both kinds of file in a folder and in those around it."""
    folders = (Path(here), *Path(here).parents)
    return tuple((str(one / "chainlang.toml"), str(one / "pyproject.toml")) for one in folders)


def _named(path: str) -> str:
    return Path(path).name if Path(path).parent == Path.cwd() else path


def _version(path: str) -> _Version | None:
    """Return the state of a file that is there; None if there is no such file."""
    if not os.access(path, os.F_OK):  # no exception: most folders have none
        return None
    try:
        now = os.stat(path)  # noqa: PTH116  # asked for by each call
    except OSError:
        return None
    if not stat.S_ISREG(now.st_mode):
        return None
    owner, times = (now.st_uid, now.st_mode), (now.st_mtime_ns, now.st_ctime_ns)
    return *owner, now.st_dev, now.st_ino, now.st_size, *times


def _check_owner(path: str, version: _Version) -> None:
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


def _read(path: str, version: _Version) -> dict[str, Any]:
    """Return what a file says: as it was read before, if it has not changed since."""
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
        if time.time_ns() - max(version[-2:]) > _SETTLED:
            if len(_KNOWN) >= _MOST:
                _KNOWN.clear()
            _KNOWN[path] = (version, table)
        return table
    raise SettingError([Diagnostic("setting", message, hint=_TOML)])


_KNOWN: dict[str, tuple[_Version, dict[str, Any]]] = {}
_MOST = 8


@lru_cache(maxsize=8)  # a millisecond, for a file of a hundred lines
def _parsed(text: str) -> dict[str, Any]:
    return tomllib.loads(text)

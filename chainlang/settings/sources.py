"""Sources of settings besides a call: variables of the environment, and a file.

The file is ``chainlang.toml``, or the table ``[tool.chainlang]`` of ``pyproject.toml``, in the
current folder or the nearest one around it that has either. In the environment a setting is called
``CHAINLANG_`` and its name in capitals.
"""

from __future__ import annotations

import os
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


@frozen
class SettingsFile:
    """The file of settings that holds in the current folder."""

    name: str = ""
    """For errors."""
    table: Mapping[str, Any] = {}


def variables(names: Collection[str]) -> dict[str, str]:
    """Return the variables of the environment that are set, by the settings they are of."""
    found = {}
    for variable in os.environ:
        prefix, name = variable[: len(PREFIX)], variable[len(PREFIX) :].lower()
        if prefix.upper() == PREFIX and name in names and os.environ[variable]:
            found[name] = variable
    return found


def settings_file() -> SettingsFile:
    """Return the nearest file of settings, going up from the current folder."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        own, project = folder / "chainlang.toml", folder / "pyproject.toml"
        if own.is_file():
            return SettingsFile(_named(own), _read(own))
        if project.is_file():
            match _read(project):
                case {"tool": {"chainlang": dict(table)}}:
                    return SettingsFile(f"[tool.chainlang] of {_named(project)}", table)
    return SettingsFile()


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

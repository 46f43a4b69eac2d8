"""Settings of a run: one model of all of them, and the places that they are read from.

The model says of each setting its type, its default, what it is for and which ways of running take
it. The keywords of Python, the flags of the shell and the tables of the README are made from it.
"""

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from chainlang.settings.model import (
        DEFAULT_WINDOW,
        NAMES,
        WAYS,
        CallSettings,
        ExplainSettings,
        MapSettings,
        RowSettings,
        RunSettings,
        Settings,
        ways_of,
    )
    from chainlang.settings.setting import PREFIX, CacheMode, Format, OnError, Progress, Takes, Way
    from chainlang.settings.shard import WHOLE, Shard

__all__ = [
    "DEFAULT_WINDOW",
    "NAMES",
    "PREFIX",
    "WAYS",
    "WHOLE",
    "CacheMode",
    "CallSettings",
    "ExplainSettings",
    "Format",
    "MapSettings",
    "OnError",
    "Progress",
    "RowSettings",
    "RunSettings",
    "Settings",
    "Shard",
    "Takes",
    "Way",
    "ways_of",
]

_OF_SETTING = ("PREFIX", "CacheMode", "Format", "OnError", "Progress", "Takes", "Way")
_HOMES = dict.fromkeys(_OF_SETTING, "setting") | dict.fromkeys(("WHOLE", "Shard"), "shard")

if not _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a name: the model takes 100 ms, which those who check an address do not need."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = _HOMES.get(name, "model")
        found = getattr(_importlib.import_module(f"{__name__}.{home}"), name)
        globals()[name] = found
        return found

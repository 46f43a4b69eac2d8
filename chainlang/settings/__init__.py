"""Settings of a run: one model of all of them, and the places that they are read from.

The model says of each setting its type, its default, what it is for and which ways of running take
it. The keywords of Python, the flags of the shell and the tables of the README are made from it.
"""

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

__all__ = [
    "DEFAULT_WINDOW",
    "NAMES",
    "PREFIX",
    "WAYS",
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
    "Takes",
    "Way",
    "ways_of",
]

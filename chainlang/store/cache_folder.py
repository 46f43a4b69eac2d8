"""The user's cache folder of chainlang: samples that runs share, and the states of warm models."""

from __future__ import annotations

from pathlib import Path

from chainlang.ready.cache_folder import cache_folder


def usual_folder() -> Path:
    """Return the default folder: ``$XDG_CACHE_HOME/chainlang``, or ``~/.cache/chainlang``."""
    return Path(cache_folder())

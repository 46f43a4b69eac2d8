"""The user's cache folder of chainlang: samples that runs share, and the states of warm models."""

from __future__ import annotations

import os
from pathlib import Path


def usual_folder() -> Path:
    """Return the default folder: ``$XDG_CACHE_HOME/chainlang``, or ``~/.cache/chainlang``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "chainlang"

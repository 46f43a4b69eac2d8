"""The user's cache folder, by a module that takes no time to import."""

from __future__ import annotations

import os


def cache_folder() -> str:
    """Return the user's cache folder: ``$XDG_CACHE_HOME/chainlang``, or ``~/.cache/chainlang``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "chainlang")

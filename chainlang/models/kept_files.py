"""Small JSON files in the user's cache folder, which may be missing or odd."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from chainlang.ready import cache_folder as own


def cache_folder() -> Path:
    """Return the user's cache folder: ``$XDG_CACHE_HOME/chainlang``, or ``~/.cache/chainlang``."""
    return Path(own.cache_folder())


def write_kept(file: Path, document: Any) -> None:
    """Write a file, all of it or nothing; without a place for it, what it holds is asked again."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial_file = file.with_suffix(f".{os.getpid()}")
        partial_file.write_text(json.dumps(document), encoding="utf-8")
        partial_file.replace(file)
    except OSError:
        return

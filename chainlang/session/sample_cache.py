"""What was drawn before, by any run: looked up where the settings say so, and kept."""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from attrs import frozen

from chainlang.engines.protocol import Engine
from chainlang.runtime.budget import RunBudget
from chainlang.runtime.ports.port import Port
from chainlang.runtime.ports.recording import Memory
from chainlang.runtime.ports.stack import OpenPort, stacked
from chainlang.settings import CacheMode, RowSettings
from chainlang.store.cache import InMemory, Level, Levels, open_on_disk
from chainlang.store.sample_codec import Drawn

_OPEN: dict[tuple[Path, int, str | None], Levels] = {}
_OPENING = threading.Lock()


@frozen
class Cache:
    """A cache as a run uses it. Failures are never in it: they are no samples."""

    levels: Levels
    mode: CacheMode

    def find(self, keys: Iterable[bytes]) -> Mapping[bytes, Drawn]:
        """Return those samples that are there, where they are to be read."""
        return {} if self.mode == "refresh" else self.levels.find(keys)

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Keep samples, where they are to be kept."""
        if self.mode != "read":
            self.levels.record(drawn)

    def open_port(
        self, engine: Engine, budget: RunBudget | None = None, /, *memories: Memory
    ) -> Port:
        """Return a way to an engine that asks it only for what is not there."""
        return stacked(engine, budget, self, *memories)


def open_port_of(settings: RowSettings) -> OpenPort:
    """Return how engines are asked under some settings. Raises `SourceError` for a broken cache."""
    if settings.cache == "off":
        return stacked
    return _cache(_levels(settings), settings.cache).open_port


@lru_cache  # the same object for the same cache, so that loops share their ways to an engine
def _cache(levels: Levels, mode: CacheMode) -> Cache:
    return Cache(levels, mode)


def _levels(settings: RowSettings) -> Levels:
    """Return the levels that settings name; they stay open for whoever names them next."""
    folder = settings.cache_folder or usual_folder()
    secret = settings.cache_redis
    url = secret.get_secret_value() if secret is not None else None
    key = (folder.resolve(), settings.cache_bytes, url)
    with _OPENING:
        if key not in _OPEN:
            levels: list[Level] = [InMemory(), open_on_disk(folder, settings.cache_bytes)]
            if url is not None:
                from chainlang.store.redis_cache import InRedis

                levels.append(InRedis.open(url))
            _OPEN[key] = Levels(tuple(levels))
        return _OPEN[key]


def usual_folder() -> Path:
    """Return where a user's caches are: ``$XDG_CACHE_HOME/chainlang``, else ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "chainlang"


def close_caches() -> None:
    """Close every cache that was opened; the next run opens what it needs."""
    _cache.cache_clear()
    while _OPEN:
        _OPEN.popitem()[1].close()


atexit.register(close_caches)

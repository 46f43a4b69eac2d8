"""Sample cache shared by runs, as the settings configure it."""

from __future__ import annotations

import atexit
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from attrs import frozen

from chainlang.engines.per_process import PerProcess
from chainlang.engines.protocol import Engine
from chainlang.protocol.secret import Secret
from chainlang.runtime.ports.port import Port
from chainlang.runtime.ports.recording import Memory
from chainlang.runtime.ports.stack import EVERYTHING, Needs, OpenPort, stacked
from chainlang.session.journal_home import store_url
from chainlang.settings import CacheMode, RowSettings
from chainlang.store.cache import Dispensable, InMemory, Levels, opened_on_disk
from chainlang.store.cache_folder import usual_folder
from chainlang.store.protocol import Level
from chainlang.store.sample_codec import Drawn

_Key: TypeAlias = tuple[Path, int, int | None, float | None, Secret | None, Secret | None]
_OPEN: PerProcess[_Key, Levels] = PerProcess()


@frozen
class Cache:
    """The cache levels with the mode of a run. Failures are not cached."""

    levels: Levels
    mode: CacheMode

    def find(self, keys: Iterable[bytes]) -> Mapping[bytes, Drawn]:
        """Return the cached samples of the keys; none in the mode ``refresh``."""
        return {} if self.mode == "refresh" else self.levels.find(keys)

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples, except in the mode ``read``."""
        if self.mode != "read":
            self.levels.record(drawn)

    def open_port(self, engine: Engine, needs: Needs = EVERYTHING, /, *memories: Memory) -> Port:
        """Return a port to an engine that requests only samples which are not cached."""
        return stacked(engine, needs, self, *memories)


def open_port_of(settings: RowSettings) -> OpenPort:
    """Return the function that opens ports. Raises `SourceError` for a damaged cache."""
    if settings.cache == "off":
        return stacked
    return _cache(_levels(settings), settings.cache).open_port


@lru_cache  # one object for each cache, so that rows of one cache share the ports of a scheduler
def _cache(levels: Levels, mode: CacheMode) -> Cache:
    return Cache(levels, mode)


def _levels(settings: RowSettings) -> Levels:
    """Return the levels of the settings; they stay open for later runs."""
    folder = settings.cache_folder or usual_folder()
    secret = settings.cache_redis
    url = Secret(secret.get_secret_value()) if secret is not None else None
    store = store_url(settings)
    most, seconds = settings.cache_shared_bytes, settings.cache_seconds
    key = (folder.resolve(), settings.cache_bytes, most, seconds, url, store)

    def made() -> Levels:
        levels: list[Level] = [InMemory(), opened_on_disk(folder, settings.cache_bytes, seconds)]
        if url is not None:
            from chainlang.store.redis_cache import InRedis

            levels.append(Dispensable(InRedis.open(url, most, seconds)))
        if store is not None:
            from chainlang.store.postgres_cache import InPostgres

            levels.append(Dispensable(InPostgres.open(store, most, seconds)))
        return Levels(tuple(levels), seconds)

    found = _OPEN.find(key)
    if found is not None and found.has_failed:
        _OPEN.drop(key, Levels.close)
    return _OPEN.open(key, made)


def close_caches() -> None:
    """Close all open caches; later runs open them again."""
    _cache.cache_clear()
    _OPEN.close(lambda levels: levels.close())


atexit.register(close_caches)

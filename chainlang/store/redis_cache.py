"""A level of the cache in Redis, which several machines may share."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from attrs import define

from chainlang.errors import error_of
from chainlang.store.sample_codec import (
    Drawn,
    LaterEntry,
    OddEntry,
    checksum,
    decoded,
    encoded,
    fits,
)

_PREFIX = b"chainlang:1:"
_SUM = 8  # bytes of the checksum, before the entry
_CHUNK = 500
_SECONDS = 10.0  # timeout of a connection, and of a response
_ATTEMPTS = 3
_INDEX = tuple(b"chainlang:cache:" + name for name in (b"used", b"sizes", b"total"))
"""Keys of the times of use, the sizes, and the total size of the entries of a bounded cache."""
_RECORD = """
local now, most, seconds = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 4, #KEYS do
    local known = tonumber(redis.call('HGET', KEYS[2], KEYS[i]) or 0)
    if seconds > 0 then
        redis.call('SET', KEYS[i], ARGV[i], 'EX', seconds)
    else
        redis.call('SET', KEYS[i], ARGV[i])
    end
    redis.call('ZADD', KEYS[1], now, KEYS[i])
    redis.call('HSET', KEYS[2], KEYS[i], #ARGV[i])
    redis.call('INCRBY', KEYS[3], #ARGV[i] - known)
end
local total = tonumber(redis.call('GET', KEYS[3]) or 0)
local enough = total > most and most * 0.9 or most
while total > enough do
    local oldest = redis.call('ZPOPMIN', KEYS[1])[1]
    if not oldest then break end
    total = redis.call('DECRBY', KEYS[3], redis.call('HGET', KEYS[2], oldest) or 0)
    redis.call('HDEL', KEYS[2], oldest)
    redis.call('UNLINK', oldest)
end
"""
"""Script that records entries and evicts the least recently used, atomically."""


@define(eq=False)
class InRedis:
    """A level in Redis. The server decides on its size and eviction (``maxmemory``).

    With `most` the entries that are recorded so are kept within that number of bytes; the least
    recently used are evicted. With `seconds` the server removes an entry after that time.
    An entry whose checksum does not match counts as missing. Messages name the server without its
    password.
    """

    name: str
    _client: Any
    most: int | None = None
    seconds: float | None = None

    @staticmethod
    def open(url: str, most: int | None = None, seconds: float | None = None) -> InRedis:
        """Connect to a server: ``redis://host:6379/0``, ``rediss://...``, ``unix://...``.

        Raises `SourceError` if the connection fails, or the package redis is not installed.
        """
        try:
            from redis import Redis
            from redis.backoff import ExponentialBackoff
            from redis.retry import Retry
        except ImportError as error:
            hint = "run: pip install 'chainlang[redis]'"
            raise error_of("file", "a cache in Redis needs the package redis", hint) from error
        name, client = _name(url), None
        with suppress(ValueError):
            client = Redis.from_url(
                url,
                socket_connect_timeout=_SECONDS,
                socket_timeout=_SECONDS,
                retry=Retry(ExponentialBackoff(), _ATTEMPTS),
            )
        if client is None:  # not within an `except`: the other error holds the address
            hint = (
                'write it like "redis://host:6379/0"; '
                "in a password, write / as %2F, @ as %40 and # as %23"
            )
            raise error_of("file", "cache_redis is not an address of Redis", hint)
        _answer(name, client.ping)
        return InRedis(name, client, most, seconds)

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return the samples of the keys that are present."""
        wanted, found = list(keys), dict[bytes, Drawn]()
        for start in range(0, len(wanted), _CHUNK):
            some = wanted[start : start + _CHUNK]
            names = [_PREFIX + key for key in some]
            values = _answer(self.name, partial(self._client.mget, names))
            for key, value in zip(some, values, strict=True):
                if value is not None and fits(key, value[_SUM:], value[:_SUM]):
                    with suppress(LaterEntry, OddEntry):
                        found[key] = decoded(value[_SUM:])
        if self.most is not None and found:
            times = dict.fromkeys((_PREFIX + key for key in found), time.time())
            _answer(self.name, partial(self._client.zadd, _INDEX[0], times, xx=True))
        return found

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples, in one command, or one for some of them each where it evicts."""
        if not drawn:
            return
        entries = {key: encoded(one) for key, one in drawn.items()}
        values = {_PREFIX + key: checksum(key, entry) + entry for key, entry in entries.items()}
        seconds = 0 if self.seconds is None else max(1, round(self.seconds))
        if self.most is None and not seconds:
            _answer(self.name, partial(self._client.mset, values))
            return
        several = list(values.items())
        for start in range(0, len(several), _CHUNK):
            some = several[start : start + _CHUNK]
            if self.most is None:
                pipe = self._client.pipeline(transaction=False)
                for name, value in some:
                    pipe.set(name, value, ex=seconds)
                _answer(self.name, pipe.execute)
                continue
            names = [*_INDEX, *(name for name, _ in some)]
            arguments = [time.time(), self.most, seconds, *(entry for _, entry in some)]
            command = (_RECORD, len(names), *names, *arguments)
            _answer(self.name, partial(self._client.eval, *command))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _name(url: str) -> str:
    """Return the scheme, the host and the port of an address, without its password.

    Whatever stands before the last ``@`` may be a part of the password.
    """
    scheme, _, rest = url.partition("://")
    host = rest.rpartition("@")[2]
    return f"{scheme}://{re.split('[/?#]', host)[0]}"


def _answer(name: str, call: Callable[[], Any]) -> Any:
    """Return the result of a call; an error of Redis is a `SourceError` without its text."""
    from redis.exceptions import RedisError

    try:
        return call()
    except RedisError as error:
        failed = type(error).__name__
    # Not within the `except`: frames of the other error hold the password.
    hint = "check that the server is running; to run without it, leave out cache_redis"
    raise error_of("file", f"the cache at {name} failed: {failed}", hint)

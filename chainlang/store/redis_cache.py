"""A level of the cache in Redis, which several machines may share."""

from __future__ import annotations

import re
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


@define(eq=False)
class InRedis:
    """A level in Redis. The server decides on its size and eviction (``maxmemory``).

    An entry whose checksum does not match counts as missing. Messages name the server without its
    password.
    """

    name: str
    _client: Any

    @staticmethod
    def open(url: str) -> InRedis:
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
        return InRedis(name, client)

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
        return found

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples, in one command."""
        if not drawn:
            return
        entries = {key: encoded(one) for key, one in drawn.items()}
        values = {_PREFIX + key: checksum(key, entry) + entry for key, entry in entries.items()}
        _answer(self.name, partial(self._client.mset, values))

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

"""A level of the cache in Redis, which several machines may share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

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
        parts = urlsplit(url)
        name = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
        with _server_errors(name):
            try:
                client = Redis.from_url(
                    url,
                    socket_connect_timeout=_SECONDS,
                    socket_timeout=_SECONDS,
                    retry=Retry(ExponentialBackoff(), _ATTEMPTS),
                )
            except ValueError:
                hint = 'write it like "redis://host:6379/0"'
                raise error_of("file", "cache_redis is not an address of Redis", hint) from None
            client.ping()
        return InRedis(name, client)

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return the samples of the keys that are present."""
        wanted, found = list(keys), dict[bytes, Drawn]()
        for start in range(0, len(wanted), _CHUNK):
            some = wanted[start : start + _CHUNK]
            with _server_errors(self.name):
                values = self._client.mget([_PREFIX + key for key in some])
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
        with _server_errors(self.name):
            self._client.mset(values)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


@contextmanager
def _server_errors(name: str) -> Iterator[None]:
    """Raise an error of Redis as a `SourceError` without its text: it may name a password."""
    from redis.exceptions import RedisError

    try:
        yield
    except RedisError as error:
        what = f"the cache at {name} failed: {type(error).__name__}"
        raise error_of(
            "file",
            what,
            "check that the server is running; to run without it, leave out cache_redis",
        ) from None

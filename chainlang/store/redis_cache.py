"""A level of the cache in Redis, which several machines may share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from attrs import define

from chainlang.errors import error_of
from chainlang.store.sample_codec import Drawn, LaterEntry, checksum, decoded, encoded, fits

_PREFIX = b"chainlang:1:"
_SUM = 8  # bytes of the checksum, before the entry
_CHUNK = 500
_SECONDS = 10.0  # for a connection, and for an answer
_ATTEMPTS = 3


@define(eq=False)
class InRedis:
    """A level in Redis. What goes when it is full is for the server to say (``maxmemory``).

    An entry that does not fit its checksum counts as missing. Messages name the server without its
    password.
    """

    name: str
    _client: Any

    @staticmethod
    def open(url: str) -> InRedis:
        """Connect to a server: ``redis://host:6379/0``, ``rediss://...``, ``unix://...``.

        Raises `SourceError` where there is none, and without the package redis.
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
                raise error_of("file", "cache_redis is no address of Redis", hint) from None
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
                    with suppress(LaterEntry):
                        found[key] = decoded(value[_SUM:])
        return found

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Keep samples, in one message."""
        if not drawn:
            return
        entries = {key: encoded(one) for key, one in drawn.items()}
        values = {_PREFIX + key: checksum(key, entry) + entry for key, entry in entries.items()}
        with _server_errors(self.name):
            self._client.mset(values)

    def close(self) -> None:
        """Hang up."""
        self._client.close()


@contextmanager
def _server_errors(name: str) -> Iterator[None]:
    """Raise an error of Redis as a `SourceError`, without its text, which may hold a password."""
    from redis.exceptions import RedisError

    try:
        yield
    except RedisError as error:
        what = f"the cache at {name} does not work: {type(error).__name__}"
        raise error_of(
            "file", what, "look whether it is up; to go on without it, leave out cache_redis"
        ) from None

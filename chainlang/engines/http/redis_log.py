"""Log of requests in Redis, which processes and machines share; its clock is that of the server."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from attrs import define

from chainlang.engines.http.rate_limit import Limits
from chainlang.engines.http.retry import Transient
from chainlang.engines.protocol import refuse

if TYPE_CHECKING:
    from collections.abc import Awaitable

_SECONDS = 10.0  # timeout of a connection, and of a response
_TAKE = """
local seconds, micros = unpack(redis.call('TIME'))
local now = tonumber(seconds) * 1000 + tonumber(micros) / 1000
local length, requests, peak = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local most, tokens, name = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local held = tonumber(redis.call('GET', KEYS[3]) or '0')
if now < held then return tostring(held - now) end
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - length)
for _, one in ipairs(gone) do
  redis.call('ZREM', KEYS[1], one)
  redis.call('DECRBY', KEYS[2], redis.call('HGET', KEYS[4], one) or 0)
  redis.call('HDEL', KEYS[4], one)
end
local count, wait = redis.call('ZCARD', KEYS[1]), 0
local function leaves(number, span)
  if number > 0 and count >= number then
    local at = redis.call('ZRANGE', KEYS[1], count - number, count - number, 'WITHSCORES')[2]
    wait = math.max(wait, tonumber(at) + span - now)
  end
end
leaves(requests, length)
leaves(peak, length / 60)
if most > 0 and count > 0 then
  local sum = tonumber(redis.call('GET', KEYS[2]) or '0')
  if sum + math.min(tokens, most) > most then
    local at = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]
    wait = math.max(wait, tonumber(at) + length - now)
  end
end
if wait > 0 then return tostring(wait) end
redis.call('ZADD', KEYS[1], now, name)
redis.call('HSET', KEYS[4], name, tokens)
redis.call('INCRBY', KEYS[2], tokens)
for _, key in ipairs({KEYS[1], KEYS[2], KEYS[4]}) do
  redis.call('PEXPIRE', key, math.ceil(2 * length))
end
return '0'
"""
"""Adds a request and returns 0, or the milliseconds to wait."""
_SETTLE = """
local before = redis.call('HGET', KEYS[2], ARGV[1])
if before then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
  redis.call('INCRBY', KEYS[1], tonumber(ARGV[2]) - tonumber(before))
end
"""
_HOLD = """
local seconds, micros = unpack(redis.call('TIME'))
local until_ = tonumber(seconds) * 1000 + tonumber(micros) / 1000 + tonumber(ARGV[1])
if until_ > tonumber(redis.call('GET', KEYS[1]) or '0') then
  redis.call('SET', KEYS[1], tostring(until_), 'PX', math.ceil(tonumber(ARGV[1])) + 1)
end
"""
_HELD = """
local seconds, micros = unpack(redis.call('TIME'))
local now = tonumber(seconds) * 1000 + tonumber(micros) / 1000
return tostring(math.max(0, tonumber(redis.call('GET', KEYS[1]) or '0') - now))
"""


@define(eq=False)
class RedisLog:
    """Log of an address and key on a Redis server. Messages name the server without its password.

    Its methods run in one event loop.
    """

    name: str
    _client: Any
    _keys: tuple[str, str, str, str]
    """Keys of the requests by time, the sum of their tokens, the pause, the tokens of each."""

    @staticmethod
    def open(url: str, log: str) -> RedisLog:
        """Return the log with a name on a server: ``redis://host:6379/0``, ``unix://...``.

        Raises `EngineError` if the server does not answer, or the package redis is not installed.
        """
        try:
            from redis import Redis
            from redis import asyncio as redis
            from redis.exceptions import RedisError
        except ImportError:
            what = "rate limits that processes share need the package redis"
            refuse(what, "run: pip install 'chainlang[redis]'", setting="limits_redis")
        where, client, failed = _where(url), None, ""
        options: dict[str, Any] = {"socket_connect_timeout": _SECONDS, "socket_timeout": _SECONDS}
        with suppress(ValueError):
            client = redis.Redis.from_url(url, **options)
        if client is None:  # not within an `except`: the other error holds the address
            hint = 'write it like "redis://host:6379/0"'
            refuse("limits_redis is not an address of Redis", hint, setting="limits_redis")
        try:
            with Redis.from_url(url, **options) as first:
                first.ping()
        except RedisError as error:
            failed = type(error).__name__
        if failed:
            hint = "check that the server is running; for one process, leave out limits_redis"
            message = f"the rate limits at {where} failed: {failed}"
            refuse(message, hint, setting="limits_redis")
        key = f"chainlang:limits:1:{{{hashlib.sha256(log.encode()).hexdigest()[:32]}}}"
        return RedisLog(where, client, (key, f"{key}:sum", f"{key}:held", f"{key}:tokens"))

    async def take(self, name: str, limits: Limits, tokens: int, now: float) -> float:
        """Add a request, or return the seconds to wait; see `rate_limit.Log.take`."""
        del now  # the server has the clock
        of = [limits.length * 1000, limits.requests or 0, limits.peak or 0, limits.tokens or 0]
        wait = await self._answer(self._client.eval(_TAKE, 4, *self._keys, *of, tokens, name))
        return float(wait) / 1000

    async def settle(self, name: str, tokens: int) -> None:
        """Replace the tokens of a request."""
        _, total, _, each = self._keys
        await self._answer(self._client.eval(_SETTLE, 2, total, each, name, tokens))

    async def hold(self, seconds: float, now: float) -> None:
        """Admit no request for a time."""
        del now  # the server has the clock
        await self._answer(self._client.eval(_HOLD, 1, self._keys[2], seconds * 1000))

    async def held(self, now: float) -> float:
        """Return the seconds until which the server has asked to wait."""
        del now  # the server has the clock
        return float(await self._answer(self._client.eval(_HELD, 1, self._keys[2]))) / 1000

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _answer(self, call: Awaitable[Any]) -> Any:
        """Return the answer of the server; an error is `Transient`: requests wait for it."""
        from redis.exceptions import RedisError

        try:
            return await call
        except RedisError as error:
            failed = type(error).__name__
        # Not within the `except`: frames of the other error hold the password.
        raise Transient(f"the rate limits at {self.name} failed: {failed}")


def _where(url: str) -> str:
    """Return the scheme, the host and the port of an address, without its password.

    >>> _where("redis://:secret@host:6379/0")
    'redis://host:6379'
    """
    scheme, _, rest = url.partition("://")
    host = rest.rpartition("@")[2]
    return f"{scheme}://{host.partition('/')[0] if scheme != 'unix' else host.partition('?')[0]}"

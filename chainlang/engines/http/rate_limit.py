"""Rate limits of a server and key: requests and tokens a minute, and the waits a server asks for.

All clients of one address and key in a process share a log of what they have sent. In any minute it
holds no more than the limits of a client that adds to it. `redis_log` has a log that processes
share.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import math
import os
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, TypeAlias
from weakref import WeakValueDictionary

from attrs import define, field, frozen

from chainlang.engines.http.endpoint import Endpoint
from chainlang.engines.http.retry import Transient

MARGIN = 1.002
"""Length of the window in minutes: requests may reach a server closer together than they were sent.
"""
_PEAK = 1.25
"""Requests in a sixtieth of the window, of their average: spread out, and still able to catch up.
"""
_RECHECK = 0.25  # seconds; a reply may have been shorter than what was reserved for it
_NAMES = itertools.count(1)
_LOGS: WeakValueDictionary[tuple[str, Clock], SharedLog] = WeakValueDictionary()
_OPENING = threading.Lock()


Clock: TypeAlias = Callable[[], float]


@frozen
class Limits:
    """Limits of a model; None for none.

    >>> Limits(requests=600).peak
    13
    """

    requests: int | None = None
    """Requests in a window."""
    tokens: int | None = None
    """Tokens of prompts and replies in a window."""
    window: float = 60.0
    """Length of the window in seconds."""

    @property
    def any(self) -> bool:
        """Whether there is a limit."""
        return self.requests is not None or self.tokens is not None

    @property
    def length(self) -> float:
        """Length of the window with its margin."""
        return self.window * MARGIN

    @property
    def peak(self) -> int | None:
        """Requests in a sixtieth of the window."""
        return None if self.requests is None else math.ceil(_PEAK * self.requests / 60)


class Log(Protocol):
    """Record of the requests to a server with a key, and of their tokens."""

    async def take(self, name: str, limits: Limits, tokens: int, now: float) -> float:
        """Add a request with tokens that it may need, if the limits leave room for it.

        Returns 0, or else the seconds after which there may be room.
        """
        ...

    async def settle(self, name: str, tokens: int) -> None:
        """Replace the tokens of a request by those that it has needed."""
        ...

    async def hold(self, seconds: float, now: float) -> None:
        """Admit no request for a time, as the server has asked for."""
        ...

    async def held(self, now: float) -> float:
        """Return the seconds until which the server has asked to wait."""
        ...

    async def close(self) -> None:
        """Close connections."""
        ...


@define(eq=False, slots=True, weakref_slot=True)
class SharedLog:
    """Log of this process; threads share it.

    >>> import asyncio
    >>> log, limits = SharedLog(), Limits(requests=1)
    >>> [asyncio.run(log.take(name, limits, 0, now=at)) for name, at in (("a", 0.0), ("b", 0.12))]
    [0.0, 60.0]
    """

    _lock: threading.Lock = field(factory=threading.Lock)
    _entries: deque[tuple[float, str]] = field(factory=deque)
    """Time and name of each request in the window, the oldest first."""
    _tokens: dict[str, int] = field(factory=dict)
    _sum: int = 0
    _held: float = 0.0
    """Time until which no request is admitted."""
    _counts: bool = False
    """Whether any client has limits; else nothing is kept."""

    async def take(self, name: str, limits: Limits, tokens: int, now: float) -> float:
        """Add a request, or return the seconds to wait; see `Log.take`."""
        with self._lock:
            if now < self._held:
                return self._held - now
            self._counts |= limits.any
            if not self._counts:
                return 0.0
            while self._entries and self._entries[0][0] + limits.length <= now:
                _, gone = self._entries.popleft()
                self._sum -= self._tokens.pop(gone, 0)
            room = self._room(limits, tokens)
            if room > now:
                return room - now
            self._entries.append((now, name))
            self._tokens[name] = tokens
            self._sum += tokens
            return 0.0

    async def settle(self, name: str, tokens: int) -> None:
        """Replace the tokens of a request."""
        with self._lock:
            if name in self._tokens:
                self._sum += tokens - self._tokens[name]
                self._tokens[name] = tokens

    async def hold(self, seconds: float, now: float) -> None:
        """Admit no request for a time."""
        with self._lock:
            self._held = max(self._held, now + seconds)

    async def held(self, now: float) -> float:
        """Return the seconds until which the server has asked to wait."""
        with self._lock:
            return max(0.0, self._held - now)

    async def close(self) -> None:
        """Do nothing: there are no connections."""

    def _room(self, limits: Limits, tokens: int) -> float:
        """Return the time at which there is room for a request; it may be in the past."""
        room = 0.0
        if limits.requests is not None:
            room = max(room, self._leaves(limits.requests, limits.length))
        if limits.peak is not None:
            room = max(room, self._leaves(limits.peak, limits.length / 60))
        if limits.tokens is not None:
            excess = self._sum + min(tokens, limits.tokens) - limits.tokens
            for at, name in self._entries:
                if excess <= 0:
                    break
                excess -= self._tokens[name]
                room = at + limits.length
        return room

    def _leaves(self, most: int, length: float) -> float:
        """Return when fewer than `most` of the entries are younger than `length`."""
        count = len(self._entries)
        return 0.0 if count < most else self._entries[count - most][0] + length


def shared_log(endpoint: Endpoint, clock: Clock) -> SharedLog:
    """Return the log of an address and key, which all clients in this process share."""
    with _OPENING:
        return _LOGS.setdefault((log_name(endpoint), clock), SharedLog())


def log_name(endpoint: Endpoint) -> str:
    """Return the name of the log of an address and key, without the key."""
    digest = hashlib.sha256(endpoint.key.encode()).hexdigest()[:16]
    return f"{endpoint.url} {digest}"


@define(eq=False)
class Limiter:
    """Holds the requests of one client back until the limits and the server admit them."""

    log: Log
    limits: Limits
    clock: Clock
    sleep: Callable[[float], Awaitable[object]]
    waited: float = 0.0
    """Seconds for which requests have waited, each for itself."""
    _turn: asyncio.Lock = field(factory=asyncio.Lock)
    """Requests are admitted in the order in which they come."""

    async def admit(self, tokens: int) -> str:
        """Wait until a request with tokens that it may need is admitted; return its name."""
        name, began = f"{os.getpid()}-{next(_NAMES)}", self.clock()
        async with self._turn:
            while wait := await self.log.take(name, self.limits, tokens, self.clock()):
                await self.sleep(wait if self.limits.tokens is None else min(wait, _RECHECK))
        self.waited += self.clock() - began
        return name

    async def held(self) -> float:
        """Return the seconds until which the server has asked to wait."""
        return await self.log.held(self.clock())

    async def settle(self, name: str, tokens: int) -> None:
        """Say how many tokens an admitted request has needed."""
        if self.limits.tokens is not None:
            with suppress(Transient):  # what was reserved leaves the log with the window
                await self.log.settle(name, tokens)

    async def hold(self, seconds: float) -> None:
        """Hold all requests to the server with this key back for a time."""
        with suppress(Transient):  # the request itself waits anyway
            await self.log.hold(seconds, self.clock())

"""Several addresses of one model: the least loaded is next, or one that knows a prompt.

Each address has a breaker: after some failures, or until a time that its server has asked for, it
gets one trial request from time to time, until one is answered. A request that failed at an address
goes to the others at once, so none is lost while one of them answers. All methods but `__init__`
run in the event loop that uses them.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack

from attrs import define, field, frozen

from chainlang.engines.http.client import Client
from chainlang.engines.http.deltas import DeltaEmitter
from chainlang.engines.http.response import Response
from chainlang.engines.http.retry import RetryPolicy, Transient, call_with_retries

TRIPS = 3
"""Consecutive failures that open the breaker of an address."""
FIRST_TRIAL, LAST_TRIAL = 1.0, 30.0
"""Seconds until the next trial: at first, and at most; each failed trial doubles them."""
SLACK = 4
"""Requests that an address may have more than the least loaded one, for a prefix that it knows."""
_CHUNK, _CHUNKS = 256, 16
"""Bytes of a part of a prompt, and how many parts of its beginning are remembered."""
_REMEMBERED = 50_000


@frozen
class AddressState:
    """The counts of an address."""

    url: str
    requests: int
    failed: int
    """Number of requests that failed here, and went to another address or waited."""
    is_open: bool
    """Whether its breaker is open, so that it gets trial requests only."""


@define(eq=False)
class Address:
    """One address of a model, with its client and its breaker."""

    client: Client
    load: int = 0
    """Requests that are sent to it, or wait for a slot."""
    requests: int = 0
    failed: int = 0
    is_open: bool = False
    _consecutive: int = 0
    _is_tried: bool = False
    _due: float = 0.0
    _asked: float = 0.0
    """Time until which its server has asked to wait."""
    _wait: float = field(factory=lambda: FIRST_TRIAL)

    def is_due(self, now: float) -> bool:
        """Return whether the next request is a trial of an open breaker."""
        return self.is_open and not self._is_tried and now >= self._due

    def begin(self) -> bool:
        """Count a request that goes here; return whether it is a trial."""
        self.load += 1
        self.requests += 1
        is_trial = self.is_open and not self._is_tried
        self._is_tried |= is_trial
        return is_trial

    def end(self, *, is_trial: bool) -> None:
        """Count a request that has ended, in any way."""
        self.load -= 1
        self._is_tried &= not is_trial

    def answered(self, now: float) -> None:
        """Close the breaker, unless its server has asked for a wait that is not over."""
        self.is_open, self._consecutive, self._wait = now < self._asked, 0, FIRST_TRIAL

    def has_failed(self, now: float, *, is_trial: bool, after: float = 0.0) -> None:
        """Count a failure, and open the breaker after several, or for longer after a trial.

        `after` is a wait in seconds that the server has asked for, which opens the breaker too.
        """
        self.failed += 1
        self._consecutive += 1
        if is_trial:
            self._wait = min(2 * self._wait, LAST_TRIAL)
        elif not after and (self.is_open or self._consecutive < TRIPS):
            return
        self._asked = max(self._asked, now + after)
        self.is_open, self._due = True, max(self._asked, now + self._wait)

    @property
    def state(self) -> AddressState:
        """The counts."""
        return AddressState(self.client.endpoint.url, self.requests, self.failed, self.is_open)


@define
class _Turn:
    """The address that a request is at, with its slot, until the turn ends."""

    address: Address = field(init=False)
    is_trial: bool = False
    name: str = ""
    """Name under which the rate limits have admitted it."""
    _held: AsyncExitStack = field(factory=AsyncExitStack)

    async def begin(self, address: Address, priority: int) -> None:
        """Go to an address, and wait for a slot of it."""
        self.address, self.is_trial = address, address.begin()
        self._held.callback(address.end, is_trial=self.is_trial)
        await self._held.enter_async_context(address.client.slots.taken(priority))

    async def end(self) -> None:
        """Give the slot back."""
        await self._held.aclose()


class Addresses:
    """Sends requests to one of several servers of the same model; it has the methods of `Client`.

    Each address has slots and rate limits of its own.
    """

    def __init__(self, clients: Sequence[Client], retry: RetryPolicy) -> None:
        self.each = [Address(one) for one in clients]
        self._retry = retry
        self._rounds = 0
        self._known: OrderedDict[bytes, Address] = OrderedDict()

    @property
    def sent(self) -> int:
        """Number of requests sent, retries included."""
        return sum(one.client.sent for one in self.each)

    @property
    def repeated(self) -> int:
        """Number of requests that were sent again, to the same address or to another."""
        return sum(one.failed for one in self.each)

    @property
    def waited(self) -> float:
        """Seconds for which rate limits held requests back."""
        return sum(one.client.waited for one in self.each)

    async def complete(
        self,
        content: bytes,
        count: int,
        *,
        schema: bool,
        first: int,
        deltas: DeltaEmitter | None,
        most: int,
        deadline: float | None = None,
        priority: int = 0,
        mark: str = "",
        patient: bool = True,
    ) -> Response:
        """Return the response of an address; see `Client.complete`.

        Each attempt asks all addresses, one after another, until one answers.
        """
        del mark  # of batches
        retry = self._retry if deadline is None else self._retry.within(deadline)
        prefixes, failures = _prefixes(content), dict[str, str]()
        turn, tried, asked = _Turn(), list[Address](), list[float]()

        async def admit() -> None:
            if not patient:
                held = [await one.client.limiter.held() for one in self.each]
                self.each[0].client.check_wait(min(held))
            while True:
                address = self._chosen(prefixes, tried)
                self._remember(prefixes, address)
                await turn.begin(address, priority)
                if turn.is_trial or not address.is_open or self._are_open(tried):
                    break
                await turn.end()  # it has failed while this request waited for a slot
            try:
                turn.name = await address.client.admitted(content, most)
            except Transient:
                await turn.end()
                raise

        async def exchange() -> Response:
            address = turn.address
            try:
                response = await address.client.once(
                    content, count, turn.name, schema=schema, first=first, deltas=deltas
                )
            except Transient as failed:
                after = min(failed.after or 0.0, retry.longest_asked)
                address.has_failed(retry.clock(), is_trial=turn.is_trial, after=after)
                failures[address.client.endpoint.url] = str(failed)
                tried.append(address)
                asked.append(after)
                if len(tried) < len(self.each):
                    raise Transient(str(failed), at_once=True) from None
                after = min(asked)
                tried.clear()
                asked.clear()
                if not patient:
                    address.client.check_wait(after, str(failed))
                raise Transient(str(failed), after or None) from None
            finally:
                await turn.end()
            address.answered(retry.clock())
            return response.moved(failures, address.client.endpoint.url)

        where = ", ".join(one.client.endpoint.url for one in self.each)
        try:
            return await call_with_retries(exchange, retry, f"{where} gave no reply", admit)
        finally:
            await turn.end()

    def _are_open(self, tried: Collection[Address]) -> bool:
        """Return whether the breakers of all addresses that were not tried are open."""
        return all(one.is_open for one in self.each if one not in tried)

    def _chosen(self, prefixes: Sequence[bytes], tried: Collection[Address]) -> Address:
        """Return the address of a request that has failed at those that were tried."""
        now = self._retry.clock()
        left = [one for one in self.each if one not in tried]
        due = next((one for one in left if one.is_due(now)), None)
        if due is not None:
            return due
        left = [one for one in left if not one.is_open] or left
        least = min(left, key=lambda one: (one.load, one.requests))
        for prefix in reversed(prefixes):
            known = self._known.get(prefix)
            if known is not None:
                return known if known in left and known.load <= least.load + SLACK else least
        return least

    def _remember(self, prefixes: Sequence[bytes], address: Address) -> None:
        for prefix in prefixes:
            self._known[prefix] = address
            self._known.move_to_end(prefix)
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    async def close(self) -> None:
        """Close all connections."""
        for one in self.each:
            await one.client.close()


def _prefixes(content: bytes) -> list[bytes]:
    """Return hashes of the beginnings of a request body, which has the messages first."""
    found, digest = [], hashlib.blake2b(digest_size=8)
    for start in range(0, min(len(content) - _CHUNK, _CHUNK * _CHUNKS) + 1, _CHUNK):
        digest.update(content[start : start + _CHUNK])
        found.append(digest.digest())
    return found

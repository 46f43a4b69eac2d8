"""A port that adds the cost of each completion to its usage."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from attrs import evolve

from chainlang.engines.protocol import Engine
from chainlang.protocol.messages import Delta, Request
from chainlang.protocol.price import Price
from chainlang.protocol.usage import ZERO
from chainlang.runtime.ports.port import Port, Reply, now_of


class PricedPort:
    """A port that knows the price of each request.

    The time of an engine that is paid by the hour is shared by the requests in flight; that of
    requests that were aborted or have failed goes to those that end after them.
    """

    __slots__ = ("_hourly", "_left", "_prices", "engine", "inner")

    def __init__(self, inner: Port) -> None:
        self.inner = inner
        self.engine: Engine = inner.engine
        self._prices: dict[str, Price] = {}
        """Prices of requests in flight, by their ids."""
        self._hourly: dict[str, float] = {}
        """Seconds of the requests in flight that are paid by the hour."""
        self._left = 0.0
        """Seconds of requests that have no completion."""

    @property
    def waits(self) -> bool:
        """Whether no reply can arrive before the engine's model is loaded."""
        return self.inner.waits

    def submit(self, requests: Iterable[Request]) -> None:
        """Submit requests."""
        requests = list(requests)
        for request in requests:
            if request.price is not None:
                self._prices[request.id] = request.price
                if request.price.gpu_hour is not None:
                    self._hourly[request.id] = 0.0
        self.inner.submit(requests)

    def step(self, until: float | None = None) -> list[Reply]:
        """Return the replies that have arrived, with their costs."""
        if not self._prices:
            return self.inner.step(until)
        before = now_of(self.engine) if self._hourly else 0.0
        replies = self.inner.step(until)
        if self._hourly:
            each = (now_of(self.engine) - before) / len(self._hourly)
            for name in self._hourly:
                self._hourly[name] += each
        return [one if isinstance(one, Delta) else self._priced(one) for one in replies]

    def abort(self, ids: Iterable[str]) -> None:
        """Abort requests."""
        gone = list(ids)
        for name in gone:
            self._prices.pop(name, None)
            self._left += self._hourly.pop(name, 0.0)
        self.inner.abort(gone)

    def _priced(self, reply: Reply) -> Reply:
        """Return a reply with the cost of its usage."""
        price = self._prices.pop(reply.id, None)
        seconds = self._hourly.pop(reply.id, 0.0)
        if price is None or isinstance(reply, Delta) or reply.usage.is_empty:
            self._left += seconds
            return reply
        if price.gpu_hour is None:
            cost: Decimal = price.of(reply.usage)
        else:
            cost = price.of_seconds(seconds + self._left)
            self._left = 0.0
        return evolve(reply, usage=evolve(reply.usage, cost=cost or ZERO))

"""A port that enforces the deadlines of requests, for engines that don't."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from chainlang.engines.protocol import Engine
from chainlang.protocol.messages import Delta, Failure, Request
from chainlang.runtime.ports.port import Port, Reply, now_of


class DeadlinePort:
    """A port that aborts a request at its deadline, counted from its submission."""

    __slots__ = ("_dues", "_seconds", "engine", "inner")

    def __init__(self, inner: Port) -> None:
        self.inner = inner
        self.engine: Engine = inner.engine
        self._seconds: dict[str, float] = {}
        """Deadlines of the requests in flight, in seconds."""
        self._dues: list[tuple[float, str]] = []
        """Heap of the times at which they expire; some requests may have completed since."""

    @property
    def waits(self) -> bool:
        """Whether no reply can arrive before the engine's model is loaded."""
        return self.inner.waits

    def submit(self, requests: Iterable[Request]) -> None:
        """Submit requests, and start their deadlines."""
        requests = list(requests)
        now = now_of(self.engine)
        for request in requests:
            if request.deadline is not None:
                self._seconds[request.id] = request.deadline
                heapq.heappush(self._dues, (now + request.deadline, request.id))
        self.inner.submit(requests)

    def step(self, until: float | None = None) -> list[Reply]:
        """Return the replies that have arrived, and failures for expired requests."""
        if not self._dues:
            return self.inner.step(until)
        due = self._dues[0][0]
        replies = self.inner.step(due if until is None else min(due, until))
        for reply in replies:
            if not isinstance(reply, Delta):
                self._seconds.pop(reply.id, None)
        return [*replies, *self._overdue()]

    def abort(self, ids: Iterable[str]) -> None:
        """Abort requests."""
        gone = list(ids)
        for name in gone:
            self._seconds.pop(name, None)
        self.inner.abort(gone)

    def _overdue(self) -> list[Failure]:
        found: list[Failure] = []
        now = now_of(self.engine)
        while self._dues and self._dues[0][0] <= now:
            _, name = heapq.heappop(self._dues)
            seconds = self._seconds.pop(name, None)
            if seconds is not None:
                self.inner.abort([name])
                message = f"there was no reply within {seconds:g} s"
                found.append(Failure(name, "transport", message))
        return found

"""A port that traces each call of an engine with OpenTelemetry."""

from __future__ import annotations

from collections.abc import Iterable

from chainlang.engines.protocol import Engine
from chainlang.protocol.messages import Delta, Request
from chainlang.runtime.ports.port import Port, Reply
from chainlang.runtime.tracing import Tracing, call_begun, call_ended, is_on


class TracedPort:
    """A port that starts a span for each request, and ends it with the reply."""

    __slots__ = ("_calls", "_provider", "engine", "inner")

    def __init__(self, inner: Port) -> None:
        self.inner = inner
        self.engine: Engine = inner.engine
        self._provider = inner.engine.capabilities.name
        self._calls: dict[str, tuple[Request, Tracing]] = {}

    @property
    def waits(self) -> bool:
        """Whether no reply can arrive before the engine's model is loaded."""
        return self.inner.waits

    def submit(self, requests: Iterable[Request]) -> None:
        """Submit requests."""
        if not is_on():
            self.inner.submit(requests)
            return
        requests = list(requests)
        for request in requests:
            self._calls[request.id] = (request, call_begun(request, self._provider))
        self.inner.submit(requests)

    def step(self, until: float | None = None) -> list[Reply]:
        """Return the replies that have arrived, and end their spans."""
        replies = self.inner.step(until)
        for reply in replies if self._calls else ():
            if not isinstance(reply, Delta) and reply.id in self._calls:
                request, tracing = self._calls.pop(reply.id)
                call_ended(tracing, request, self._provider, reply)
        return replies

    def abort(self, ids: Iterable[str]) -> None:
        """Abort requests; their spans end as aborted."""
        gone = list(ids)
        for name in gone:
            if name in self._calls:
                request, tracing = self._calls.pop(name)
                call_ended(tracing, request, self._provider, None)
        self.inner.abort(gone)

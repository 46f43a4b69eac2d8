"""Async functions of the user, on an event loop in a thread beside the scheduler's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from attrs import define, field

if TYPE_CHECKING:
    from chainlang.engines.event_loop_thread import EventLoopThread

Who = TypeVar("Who")
Call = Callable[[], Coroutine[Any, Any, Any]]


@define(eq=False)
class PendingCalls(Generic[Who]):
    """Calls in flight, each with its waiter. The event loop starts with the first call."""

    _waiting: dict[int, Who] = field(factory=dict)
    _background: EventLoopThread[Any] | None = None
    _tickets: Iterator[int] = field(factory=lambda: itertools.count(1))

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def start(self, who: Who, call: Call) -> None:
        """Start a call."""
        if self._background is None:
            # It imports asyncio, which few chains need.
            from chainlang.engines.event_loop_thread import EventLoopThread

            self._background = EventLoopThread("chainlang functions")
        ticket = next(self._tickets)
        self._waiting[ticket] = who
        self._background.start([(ticket, call)])

    def take(self, wait: float) -> list[tuple[Who, Any]]:
        """Return the waiters and values of completed calls, after at most `wait` seconds."""
        if self._background is None or not self._waiting:
            return []
        came = self._background.take(wait)
        return [
            (self._waiting.pop(ticket), value) for ticket, value in came if ticket in self._waiting
        ]

    def forget(self, gone: Callable[[Who], bool]) -> None:
        """Cancel the calls whose waiter is `gone`."""
        tickets = [ticket for ticket, who in self._waiting.items() if gone(who)]
        for ticket in tickets:
            del self._waiting[ticket]
        if self._background is not None and tickets:
            self._background.cancel(tickets)

    def close(self) -> None:
        """Cancel all calls, and end the event loop; the next call starts another."""
        self._waiting.clear()
        if self._background is not None:
            self._background.close()
            self._background = None

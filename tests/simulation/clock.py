"""Time that passes only when nobody has anything to do, and then as far as the next thing."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from chainlang.engines.event_loop_thread import Work


class _Jumping(selectors.SelectSelector):
    """Waits for nothing: the time that it would have waited has passed."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits, and nothing will ever happen")
        self.now += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on such a clock."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


class Stepped:
    """What `chainlang.engines.event_loop_thread.EventLoopThread` does, in the caller's thread."""

    def __init__(self, loop: VirtualLoop, closing: Callable[[], Awaitable[object]]) -> None:
        self.loop, self.closed = loop, False
        self.until: float | None = None
        """How far the next `take` may let time pass."""
        self._closing = closing
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._done: list[tuple[int, Any]] = []

    def start(self, work: Iterable[tuple[int, Work[Any]]]) -> None:
        for ticket, make in work:
            self._tasks[ticket] = self.loop.create_task(make())

    def cancel(self, tickets: Iterable[int]) -> None:
        gone = [self._tasks.pop(ticket) for ticket in tickets if ticket in self._tasks]
        for task in gone:
            task.cancel()
        self.loop.run_until_complete(self._ended(gone))

    def take(self, wait: float) -> list[tuple[int, Any]]:  # time is ours
        self.loop.run_until_complete(self._some())
        found = [(ticket, task) for ticket, task in self._tasks.items() if task.done()]
        for ticket, _ in found:
            del self._tasks[ticket]
        return [(ticket, task.exception() or task.result()) for ticket, task in found]

    def close(self) -> None:
        if not self.closed:
            self.cancel(list(self._tasks))
            self.loop.run_until_complete(self._closing())  # type: ignore[arg-type]
        self.closed = True

    async def _some(self) -> None:
        left = None if self.until is None else max(0.0, self.until - self.loop.time())
        if self._tasks:
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait(self._tasks.values(), timeout=left, return_when=first)
        elif left is not None:
            await asyncio.sleep(left)

    @staticmethod
    async def _ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
        await asyncio.gather(*tasks, return_exceptions=True)

"""Coroutines for a caller that has no loop, or that stands inside one, such as a notebook."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")
Work: TypeAlias = Callable[[], Coroutine[Any, Any, T]]


class Background(Generic[T]):
    """A thread with a loop of its own. Work goes in under a ticket and comes out once.

    The thread starts with the first work. `closing` runs in it at the end, after all work has
    finished or has been cancelled. One thread uses this object.

    >>> async def answer() -> int:
    ...     return 42
    >>> background = Background[int]("doctest")
    >>> background.start([(1, answer)])
    >>> background.take(wait=10)
    [(1, 42)]
    >>> background.close()
    """

    def __init__(self, name: str, closing: Callable[[], Awaitable[object]] | None = None) -> None:
        self.name = name
        self.closed = False
        self._closing = closing
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._tasks: dict[int, asyncio.Task[T]] = {}
        self._done: queue.SimpleQueue[tuple[int, T | BaseException]] = queue.SimpleQueue()

    def start(self, work: Iterable[tuple[int, Work[T]]]) -> None:
        """Run work, each under a ticket that no other has. Raises `RuntimeError` once closed."""
        if self.closed:
            raise RuntimeError(f"{self.name} is closed")
        self._call(self._spawn, tuple(work))

    def cancel(self, tickets: Iterable[int]) -> None:
        """Stop work. It comes out as a `CancelledError`; unknown tickets are ignored."""
        if self._thread is not None and not self.closed:
            self._call(self._cancel, tuple(tickets))

    def take(self, wait: float) -> list[tuple[int, T | BaseException]]:
        """Return what has finished, by result or exception, after at most `wait` seconds."""
        found: list[tuple[int, T | BaseException]] = []
        with suppress(queue.Empty):
            found.append(self._done.get(timeout=wait))
            while True:
                found.append(self._done.get_nowait())
        return found

    def tell(self, ticket: int, news: T) -> None:
        """Say something of work that goes on, in the thread; it comes out before the result."""
        self._done.put((ticket, news))

    def close(self) -> None:
        """Cancel all work and join the thread. Closing twice does no harm."""
        if self._thread is not None and not self.closed:
            self._call(self._stop.set)
        self.closed = True
        if self._thread is not None:
            self._thread.join()

    def _call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call a function in the thread; calls keep their order."""
        if self._loop is None:
            ready = threading.Event()
            # A daemon, so that a program that forgets to close can still end.
            self._thread = threading.Thread(
                target=self._serve, args=(ready,), name=self.name, daemon=True
            )
            self._thread.start()
            ready.wait()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(function, *arguments)

    # ---- in the thread

    def _serve(self, ready: threading.Event) -> None:
        with asyncio.Runner() as runner:
            self._loop = runner.get_loop()
            ready.set()
            runner.run(self._until_stopped())

    async def _until_stopped(self) -> None:
        await self._stop.wait()
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._closing is not None:
            await self._closing()

    def _spawn(self, work: tuple[tuple[int, Work[T]], ...]) -> None:
        assert self._loop is not None
        for ticket, make in work:
            task = self._loop.create_task(make())
            self._tasks[ticket] = task
            task.add_done_callback(partial(self._finished, ticket))

    def _cancel(self, tickets: tuple[int, ...]) -> None:
        for ticket in tickets:
            if ticket in self._tasks:
                self._tasks[ticket].cancel()

    def _finished(self, ticket: int, task: asyncio.Task[T]) -> None:
        del self._tasks[ticket]
        # Whoever cancelled it, it comes out: nobody waits for work that will never finish.
        failed = asyncio.CancelledError() if task.cancelled() else task.exception()
        self._done.put((ticket, failed or task.result()))
